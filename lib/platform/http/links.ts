import type { APIGatewayProxyEventV2 } from 'aws-lambda'

/** Where a list goes on, and what is before it: relative addresses. */
export type Links = { next?: string | null; prev?: string | null }

/** The header Link (RFC 8288) of a list; none if it is all there is. */
export function linkHeader({ next, prev }: Links): { link?: string } {
  const links = Object.entries({ next, prev }).flatMap(([rel, address]) =>
    address ? [`<${address}>; rel="${rel}"`] : [],
  )
  return links.length > 0 ? { link: links.join(', ') } : {}
}

/** The address that was called, with one parameter of its query changed. */
export function linkTo(
  { rawPath, rawQueryString }: Pick<APIGatewayProxyEventV2, 'rawPath' | 'rawQueryString'>,
  name: string,
  value: string | number,
): string {
  const parameters = new URLSearchParams(rawQueryString)
  parameters.set(name, String(value))
  return `${encodeURI(rawPath)}?${parameters}`
}
