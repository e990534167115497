// Draws the widgets of one dashboard in the browser and keeps them fresh.
import uPlot from './uplot.js'

const everyMs = 5_000
const rowHeight = 45
const colours = ['#1f77b4', '#ff7f0e', '#2ca02c', '#d62728', '#9467bd', '#8c564b', '#e377c2', '#7f7f7f']

const container = document.getElementById('widgets')
const minutes = document.getElementById('minutes')
const problem = document.getElementById('problem')
const drawn = new Map()
let asked = 0

async function refresh() {
  const turn = ++asked
  try {
    const response = await fetch(`${container.dataset.source}?minutes=${minutes.value}`)
    if (!response.ok) throw new Error(`the local cloud answered ${response.status}`)
    const { from, to, widgets } = await response.json()
    if (turn !== asked) return
    widgets.forEach((widget, at) => {
      draw(at, widget, { from, to })
    })
    problem.textContent = ''
  } catch (error) {
    problem.textContent = `Not fresh: ${error.message}`
  }
}

/** A chart lasts as long as its lines are the same ones. */
function draw(at, widget, { from, to }) {
  const key = JSON.stringify(widget.series.map(({ label, axis }) => [label, axis]))
  const data = [widget.times, ...widget.series.map(({ values }) => values)]
  let known = drawn.get(at)
  if (known?.key !== key) {
    known?.chart?.destroy()
    known = { key, ...frame(known?.section, widget) }
    known.chart = widget.series.length > 0 ? chart(known.plot, widget, data) : undefined
    drawn.set(at, known)
  }
  known.note.textContent = noteOf(widget)
  known.chart?.setData(data, false)
  known.chart?.setScale('x', { min: from, max: to })
}

function frame(old, widget) {
  const section = document.createElement('section')
  section.style.gridColumn = `${widget.x + 1} / span ${widget.width}`
  section.style.gridRow = `${widget.y + 1} / span ${widget.height}`
  const title = section.appendChild(document.createElement('h2'))
  title.textContent = widget.title
  const note = section.appendChild(document.createElement('p'))
  const plot = section.appendChild(document.createElement('div'))
  if (old) old.replaceWith(section)
  else container.append(section)
  return { section, note, plot }
}

function noteOf({ withoutSource, unknown, series }) {
  const notes = [...withoutSource.map((metric) => `no local source: ${metric}`), ...unknown]
  const isEmpty = series.every(({ values }) => values.every((value) => value === null))
  if (notes.length === 0 && isEmpty) notes.push('no data in this time')
  return notes.join('; ')
}

function chart(target, { series, limits, height }, data) {
  const range = ({ min, max }) => ({
    range: (_, low, high) => [min ?? low ?? 0, max ?? Math.max((high ?? 1) * 1.1, (min ?? 0) + 1)],
  })
  const lines = series.map(({ label, axis }, at) => ({
    label,
    scale: axis,
    stroke: colours[at % colours.length],
    spanGaps: true,
    points: { size: 5 },
  }))
  const axes = [{}, { scale: 'left', size: 60 }]
  if (series.some(({ axis }) => axis === 'right')) axes.push({ scale: 'right', side: 1, size: 60 })
  const scales = { left: range(limits.left), right: range(limits.right) }
  const size = { width: target.clientWidth || 400, height: height * rowHeight - 130 }
  return new uPlot({ ...size, scales, axes, series: [{}, ...lines] }, data, target)
}

minutes.addEventListener('change', refresh)
setInterval(refresh, everyMs)
refresh()
