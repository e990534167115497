import { describe, expect, it, test } from 'vitest'
import { FinalError } from '../../../lib/interviews/failure.ts'
import { plainText } from '../../../lib/interviews/plain-text.ts'
import { encode } from '../../support/encode.ts'
import { fc } from '../../support/properties.ts'

const english = 'Curriculum vitae\r\nSenior engineer at Kuda, 2019 - 2022\r\nBuilt services in Go.\r\n'

describe('a text in an encoding that no one named', () => {
  const foreign: [string, string[]][] = [
    ['windows-1251', ['Анна Орлова, инженер', 'Иван']],
    ['koi8-r', ['Анна Орлова, инженер', 'Иван']],
    ['ibm866', ['Анна Орлова, инженер']],
    ['windows-1253', ['Γιώργος Παπαδόπουλος', 'Άννα']],
    ['windows-1255', ['משה כהן']],
    ['windows-1256', ['محمد علي']],
    ['windows-874', ['สมชาย ใจดี']],
    ['shift_jis', ['田中 さくら', '田中 太郎', '山田', 'エンジニア', '職務経歴書 氏名', 'ｴﾝｼﾞﾆｱ']],
    ['euc-jp', ['田中 太郎', 'エンジニア']],
    ['gbk', ['王小明', '李娜 工程师']],
    ['big5', ['王大明', '陳怡君 工程師']],
    ['euc-kr', ['김민수', '이영희 엔지니어']],
    ['windows-1250', ['Łukasz Wójcik']],
    ['macintosh', ['Zoë Müller']],
  ]
  test.each(foreign)(
    'is refused as %s, alone and in an English text, and read once that is named',
    (name, texts) => {
      for (const text of texts.flatMap((each) => [each, `${english}${each}\r\nGo, SQL\r\n`])) {
        const bytes = encode(text, name)
        expect(() => plainText(bytes), text).toThrow(expect.objectContaining({ code: 'unknown_encoding' }))
        expect(plainText(bytes, name)).toBe(text)
      }
    },
  )

  it.each([
    'Zoë Müller',
    'François, né à Orléans',
    'Ærø Ångström',
    'naïve – “quoted” • ‘item’ it’s €5 £50k',
    'Straße 5€ ½ day °C ©',
    'ÉCOLE DE COMMERCE, Ñuño',
  ])('is read as windows-1252 where that is what it is: %s', (text) => {
    for (const whole of [text, english + text]) {
      expect(plainText(encode(whole, 'windows-1252'))).toBe(whole)
      expect(plainText(Buffer.from(whole))).toBe(whole)
    }
  })
})

test('whatever the bytes are, they are read without loss or refused', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.string({ unit: 'grapheme', maxLength: 100 }).map((text) => new TextEncoder().encode(text)),
  )
  fc.assert(
    fc.property(
      bytes,
      fc.constantFrom(undefined, 'shift_jis', 'windows-1251', 'utf-8', 'utf-16le'),
      (given, said) => {
        let text: string
        try {
          text = plainText(Buffer.from(given), said)
        } catch (error) {
          expect(error).toBeInstanceOf(FinalError)
          return
        }
        const lost = text.match(/[\u0080-\u009f\ufffd]/g)?.length ?? 0
        const written =
          Buffer.from(given)
            .toString('utf8')
            .match(/[\u0080-\u009f\ufffd]/g)?.length ?? 0
        // What was written as lost is no loss of ours.
        if (!Buffer.from(text).equals(Buffer.from(given)))
          expect(lost * 100).toBeLessThanOrEqual(text.length + written * 100)
      },
    ),
  )
})
