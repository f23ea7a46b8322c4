// Codecs: value ⇄ bytes.

export { bytesCodec, decodeWhole, type Codec } from './codec.js';
export { deepFreeze } from './message-pack-decoder.js';
export { messagePackCodec, uncheckedMessagePackCodec } from './message-pack-codec.js';
export { checkPlainData, copyPlainData } from './plain-data.js';
