/** The lines of an iCalendar file, those that were folded in one piece. */
export function unfolded(content: string): string[] {
  return content.replaceAll(/\r\n[ \t]/g, '').split('\r\n')
}
