type Place = { left: number; right: number; top: number; bottom: number }

export function drawn(): Promise<void>
export function pageWidth(): number
export function chartWidth(): number
export function pixels(wanted: { chart: number; colour: readonly number[] }): {
  ofColour: number
  onEdge: number
  brightest: number
  darkest: number
}
export function places(): {
  sections: (Place & { parts: Place[] })[]
  charts: { canvas: Place; room: Place }[]
}
