import { describe, expect, it } from 'vitest'
import { barChart } from './chart.ts'
import { figure, replaceSection, table } from './report.ts'
import { median, quantile } from './statistics.ts'

describe('the page of figures', () => {
  const page = '# Figures\n\nWords.\n\n<!-- a:begin -->\nold\n<!-- a:end -->\n\nMore words.\n'

  it('has one section replaced and keeps everything else', () => {
    expect(replaceSection(page, 'a', 'new')).toBe(page.replace('old', 'new'))
  })

  it('gets a section that it did not have at its end', () => {
    const added = replaceSection(page, 'b', 'first')
    expect(added).toBe(`${page}\n<!-- b:begin -->\nfirst\n<!-- b:end -->\n`)
    expect(replaceSection(added, 'b', 'second')).toBe(added.replace('first', 'second'))
  })

  it('shows a dash where there is no number', () => {
    expect([figure(Number.NaN, 1), figure(1234.56, 1), figure(0.5)]).toEqual(['-', '1,234.6', '1'])
    expect(table(['what', 's'], [['one', 2]])).toBe('| what | s |\n| --- | ---: |\n| one | 2 |')
  })
})

describe('quantiles', () => {
  it('are values that were measured, by the nearest rank', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect([0.5, 0.95, 0.99, 1].map((q) => quantile(hundred, q))).toEqual([50, 95, 99, 100])
    expect(quantile([7], 0.5)).toBe(7)
    expect(quantile([], 0.5)).toBeNaN()
  })

  it('have a median between the two in the middle', () => {
    expect([median([3, 1, 2]), median([4, 1, 2, 3])]).toEqual([2, 2.5])
    expect(median([])).toBeNaN()
  })
})

it('the chart begins with the quickest and escapes names', () => {
  const svg = barChart('a < b', 'seconds', 's', [
    { name: 'slow', value: 2, ours: false },
    { name: 'quick & ours', value: 1, ours: true },
  ])
  expect(svg).toContain('a &lt; b')
  expect(svg.indexOf('quick &amp; ours')).toBeLessThan(svg.indexOf('>slow<'))
})
