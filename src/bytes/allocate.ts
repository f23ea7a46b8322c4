// Memory for windows and buffers that are reused.

/**
 * Bytes with arbitrary contents and a backing store of their own: from the shared pool, a small buffer would keep 8 KiB
 * of strangers alive and expose them. A plain Uint8Array, because the `slice` of a Buffer does not copy.
 */
export function allocate(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
}
