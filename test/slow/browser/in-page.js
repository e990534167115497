// Runs in the page itself: each function is sent there by its text.

/** Two frames: a picture is drawn in the one after its data. */
export const drawn = () =>
  new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve())))

export const pageWidth = () => document.documentElement.scrollWidth

export const chartWidth = () => document.querySelector('canvas').clientWidth

/** Of the nth chart: pixels of a colour, pixels on its left edge, and the lightest and darkest red of its axis. */
export function pixels({ chart, colour }) {
  const canvas = document.querySelectorAll('canvas')[chart]
  const { width, height } = canvas
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height)
  const found = { ofColour: 0, onEdge: 0, brightest: 0, darkest: 255 }
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] < 200) continue
    if (colour.every((part, index) => data[at + index] === part)) found.ofColour++
    const x = (at / 4) % width
    if (x === 0) found.onEdge++
    if (x >= 50) continue
    found.brightest = Math.max(found.brightest, data[at])
    found.darkest = Math.min(found.darkest, data[at])
  }
  return found
}

/** Where the widgets are, their parts from top to bottom, and each chart in its room. */
export function places() {
  const place = (element) => {
    const { left, right, top, bottom } = element.getBoundingClientRect()
    return { left, right, top, bottom }
  }
  const sections = [...document.querySelectorAll('#widgets section')]
  return {
    sections: sections.map((section) => ({
      ...place(section),
      parts: [...section.children].map(place).filter(({ top, bottom }) => bottom > top),
    })),
    charts: [...document.querySelectorAll('canvas')].map((canvas) => ({
      canvas: place(canvas),
      room: place(canvas.closest('.plot')),
    })),
  }
}
