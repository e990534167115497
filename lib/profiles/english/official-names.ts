// Source: ISO 3166-1, English short and full names as Debian's iso-codes lists them (iso_3166-1.json), checked
// against pycountry 26.2.16. Names that the package of ../countries.ts has already are not repeated. In all of
// them an inner "the" and what stands in brackets may be left out or not.

/** What goes before a country's name in its official one ("Republic of Kenya", "Kenya, Republic of"). */
export const officialForms: Record<string, string> = {
  'Arab Republic of': 'EG',
  'Bolivarian Republic of': 'VE',
  'Commonwealth of': 'AU BS DM MP',
  'Democratic People’s Republic of': 'KP',
  'Democratic Republic of': 'CD ST TL',
  'Democratic Socialist Republic of': 'LK',
  'Eastern Republic of': 'UY',
  'Federal Democratic Republic of': 'ET NP',
  'Federal Republic of': 'DE NG SO',
  'Federated States of': 'FM',
  'Federative Republic of': 'BR',
  'Grand Duchy of': 'LU',
  'Hashemite Kingdom of': 'JO',
  'Independent State of': 'PG WS',
  'Islamic Republic of': 'AF IR MR PK',
  'Kingdom of': 'BE BH BT DK ES KH LS MA NL NO SA SE SZ TH TO',
  'People’s Democratic Republic of': 'DZ',
  'People’s Republic of': 'BD CN',
  'Plurinational State of': 'BO',
  'Principality of': 'AD LI MC',
  'Republic of':
    'AL AM AO AT AZ BA BG BI BJ BW BY CG CI CL CM CO CR CU CV CY DJ EC EE FI FJ GH GM GN GQ GT GW GY HN HR HT ID IN IQ IS KE KI KR KZ LR LT LV MD MG MH MK ML MM MT MU MV MW MZ NA NE NI NR PA PE PH PL PW PY RS RW SC SD SG SI SL SM SN SR SS SV TD TJ TN TR TT UG UZ VU YE ZA ZM ZW',
  'Socialist Republic of': 'VN',
  'State of': 'ER IL KW PS QA',
  'Sultanate of': 'OM',
  'Union of': 'KM',
  'United Republic of': 'TZ',
}

/** Official names of no such form, and older ones that lists still carry. */
export const otherOfficialNames: Record<string, readonly string[]> = {
  AR: ['Argentine Republic'],
  CH: ['Swiss Confederation'],
  FK: ['Falkland Islands [Malvinas]'],
  FR: ['French Republic'],
  GA: ['Gabonese Republic'],
  GB: ['United Kingdom of Great Britain and Northern Ireland'],
  GR: ['Hellenic Republic'],
  HK: ['Hong Kong Special Administrative Region of China', 'Hong Kong SAR, China'],
  IT: ['Italian Republic'],
  KG: ['Kyrgyz Republic'],
  KP: ['Korea, North'],
  KR: ['Korea, South'],
  LB: ['Lebanese Republic'],
  LY: ['Libyan Arab Jamahiriya'],
  MK: ['Macedonia, Former Yugoslav Republic of', 'Former Yugoslav Republic of Macedonia'],
  MO: ['Macao Special Administrative Region of China', 'Macao SAR, China'],
  MX: ['United Mexican States'],
  PS: ['Occupied Palestinian Territory', 'Palestinian Territory, Occupied'],
  PT: ['Portuguese Republic'],
  RW: ['Rwandese Republic'],
  SH: ['Saint Helena, Ascension and Tristan da Cunha'],
  SK: ['Slovak Republic'],
  TG: ['Togolese Republic'],
  TW: ['Taiwan (Province of China)'],
  VG: ['Virgin Islands (British)'],
  VI: ['Virgin Islands (U.S.)', 'Virgin Islands, US', 'Virgin Islands of the United States'],
}
