// Codecs: value ⇄ bytes.

export { bytesCodec, decodeWhole, type Codec } from './codec.js';
export { messagePackCodec } from './message-pack-codec.js';
