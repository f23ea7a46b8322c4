// Codecs: value ⇄ bytes.

export { bytesCodec, decodeWhole, type Codec } from './codec.js';
export { deepFreeze } from './deep-freeze.js';
export { Column, MessagePackDecoder } from './message-pack-decoder.js';
export { encodeArrayHead, encodeMessagePack } from './message-pack-encoder.js';
export { messagePackCodec, uncheckedMessagePackCodec } from './message-pack-codec.js';
export { checkPlainData, copyPlainData, MAX_DEPTH } from './plain-data.js';
