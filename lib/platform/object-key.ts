/** The key of an object, which S3's events carry form-encoded. */
export function decodeObjectKey(encoded: string): string {
  return decodeURIComponent(encoded.replaceAll('+', ' '))
}
