// Codecs: value ⇄ bytes.

export { bytesCodec, decodeWhole, type Codec } from './codec.js';
export { deepFreeze } from './deep-freeze.js';
export { Column, MessagePackDecoder } from './message-pack-decoder.js';
export { MessagePackEncoder } from './message-pack-encoder.js';
export { NUMBER_BYTES, putNumber, putText, RepeatedText, SHORT_TEXT_BYTES } from './message-pack-leaves.js';
export { messagePackCodec, uncheckedMessagePackCodec } from './message-pack-codec.js';
export { checkPlainData, MAX_DEPTH } from './plain-data.js';
export { copyPlainData, PlainCopies } from './plain-copies.js';
