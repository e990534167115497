import { TextDecoder as StandardDecoder } from '@exodus/bytes/encoding.js'

/** The name that the WHATWG Encoding Standard gives an encoding, in lower case: `utf-8`, `shift_jis`. */
export type Encoding = string

export type Decoder = Pick<InstanceType<typeof TextDecoder>, 'decode'>

/**
 * Decodes bytes by the WHATWG Encoding Standard; a byte order mark stays. Node's own decoder reads UTF-8 and UTF-16
 * faster, but many of the other encodings wrongly (nodejs/node#61041): a euro sign in windows-1252 under Node 22, a
 * cut character of Shift_JIS that spoils what is decoded after it.
 */
export function decoderOf(encoding: Encoding, { fatal = false }: { fatal?: boolean } = {}): Decoder {
  const Class = encoding.startsWith('utf-') ? TextDecoder : StandardDecoder
  return new Class(encoding, { fatal, ignoreBOM: true })
}

/** The text of bytes in an encoding, a byte order mark included. */
export function textOf(bytes: Uint8Array, encoding: Encoding): string {
  return decoderOf(encoding).decode(bytes)
}
