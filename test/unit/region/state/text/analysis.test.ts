/** What a search finds of a text, kind by kind. The examples are pairs of how a text is written and how people look for it. */
import assert from 'node:assert/strict';
import { Entities } from '../../../../../services/region/state/entities/entities.ts';
import { type FieldAnalysis, languages } from '../../../../../services/region/state/text/analysis/analysis.ts';
import { createTextIndex } from '../../../../../services/region/state/text/text-index.ts';
import type { Metadata } from '../../../../../shared/protocol/events.ts';
import { lunrQuery, plainQuery } from '../../../../harness/region/state/text-queries.ts';

interface Field extends Partial<FieldAnalysis> {
  readonly name: string;
}

function indexOf(documents: readonly Metadata[], fields: readonly Field[] = [{ name: 'title' }]) {
  const textFields = fields.map((field) => ({ boost: 1, ...field }));
  const index = createTextIndex({
    schema: { textFields, bm25: { k1: 1.2, b: 0.75 } },
    entities: new Entities(),
  });
  for (const [entity, metadata] of documents.entries()) index.put(entity, metadata);
  return index;
}

/** Characters with a meaning for lunr's syntax, escaped: only the analysis is tested. */
const literally = (words: string): string => words.replace(/[-+:^~*\\"]/g, '\\$&');

function finds(title: string, words: string, fields?: readonly Field[]): boolean {
  return indexOf([{ title }], fields).rank(lunrQuery(literally(words))).total === 1;
}

/** The same in plain text, where a word that begins with `-` is excluded. */
function findsPlain(title: string, words: string, fields?: readonly Field[]): boolean {
  return indexOf([{ title }], fields).rank(plainQuery(words.replace(/^-/, ''), 'any')).total === 1;
}

type Examples = readonly (readonly [title: string, found: readonly string[], missed?: readonly string[]])[];

const kinds: Readonly<Record<string, Examples>> = {
  apostrophes: [
    ["Schindler's List", ['schindler', "schindler's", 'schindler’s', 'list']],
    ['Ocean’s Eleven', ["ocean's", 'ocean’s', 'ocean', 'oceans']],
    ["Ocean's Eleven", ['ocean’s', 'OCEAN‘S', 'ocean`s', 'ocean\u02bcs', 'ocean\uff07s']],
    ["O'Brien", ['obrien', "o'brien", 'o’brien', 'brien']],
    ['O’Brien', ['obrien', "O'BRIEN"]],
    ["Rock'n'Roll", ['rocknroll', 'rock’n’roll', 'rock', 'roll']],
    ["Don't Look Back", ['dont', 'don’t', "don't"]],
    ["L'Amour", ['amour', 'l’amour', 'lamour']],
    ['amour', ["l'amour"]],
    ['Hawaiʻi', ['hawaii', "hawai'i"]],
    ["the boys' club", ['boys', 'boy', "boys'"]],
  ],
  dashes: [
    ['Spider-Man', ['spider-man', 'spiderman', 'spider', 'man', 'spider man', 'spider–man']],
    ['Spiderman', ['spider-man', 'spiderman']],
    ...['\u2010', '\u2011', '\u2012', '\u2013', '\u2212', '\ufe63', '\uff0d'].map(
      (dash) => [`Spider${dash}Man`, ['spider-man', 'spiderman', 'spider', 'man', `spider${dash}man`]] as const,
    ),
    ['jazz—piano', ['piano', 'jazz']],
    ['jazz―piano', ['piano', 'jazz']],
    ['jazz--piano', ['piano', 'jazz']],
    ['state-of-the-art', ['art', 'state-of-the-art', 'stateoftheart']],
    ['-jazz- –piano–', ['jazz', 'piano']],
  ],
  'slashes, dots, underscores and other signs': [
    ['AC/DC Live', ['ac', 'dc', 'ac/dc', 'acdc', 'AC/DC']],
    ['acdc', ['ac/dc']],
    ['rock/pop', ['rock', 'pop']],
    ['I/O', ['io', 'i/o']],
    ['24/7', ['24/7', '24', '7']],
    ['example.com', ['example.com', 'example', 'www.example.com']],
    ['see https://www.example.com/some_page?ttl=30#top', ['example.com', 'ttl', '30', 'page', 'some_page', 'top']],
    ['node.js', ['node.js', 'nodejs', 'node', 'js']],
    ['U.S.A.', ['usa', 'u.s.a.', 'U.S.A'], ['u']],
    ['USA', ['u.s.a.']],
    ['snake_case', ['snake', 'case', 'snake_case', 'snakecase']],
    ['__init__', ['init']],
    ['key=value', ['key', 'value']],
    ['foo,bar;baz:qux|quux', ['foo', 'bar', 'baz', 'qux', 'quux']],
    ['R&B', ['r&b', 'rb']],
    ['AT&T', ['at&t', 'att']],
    ['@user #tag $100 (paren) [bracket] "quote"', ['user', '@user', 'tag', '#tag', '100', 'paren', 'bracket', 'quote']],
    ['Batman: Year One', ['Batman: Year One', 'batman']],
    ['.NET', ['net', '.net']],
    ['C++ Primer', ['c++', 'C++', 'primer'], ['c#', 'c']],
    ['C# in Depth', ['c#'], ['c++', 'c']],
    ['C++11', ['c++', 'c++11', '11']],
    ['Notepad++', ['notepad', 'notepad++']],
    ['Disney+', ['disney', 'disney+']],
    ['Vitamin C', ['c'], ['c++', 'c#']],
  ],
  numbers: [
    ['1,299.00 dollars', ['1299', '1,299', '1,299.00', '1299.00']],
    ['1299 dollars', ['1,299', '1,299.00', '1299']],
    ['1.299,00 Euro', ['1299', '1.299,00', '1299,00', '1299.00']],
    ['1\u202f299 euros', ['1299', '1,299']],
    ['12,34,567', ['1234567']],
    ['version 3.5', ['3.5', '3'], ['35']],
    ['10:30', ['10:30', '10', '30'], ['1030']],
    ['2026-11-30', ['2026', '2026-11-30', '2026–11–30']],
    ['2,5', ['2.5', '2,5']],
    ['½', ['1/2']],
    ['m²', ['m2']],
  ],
  'invisible characters': [
    ['zero\u200bwidth', ['zero', 'width']],
    ['inter\u00adnational', ['international', 'inter\u00adnational']],
    ['می\u200cخواهم', ['می\u200cخواهم', 'میخواهم']],
    ['\ufeffjazz', ['jazz']],
    ['jazz\u200e \u202bpiano\u202c', ['jazz', 'piano']],
    ['a\u2060bc', ['abc']],
    ['word\u200d', ['word']],
    ['tab\tnew\nline\u2028para\u2029nbsp\u00a0wide\u3000end', ['tab', 'new', 'line', 'para', 'nbsp', 'wide', 'end']],
  ],
  markup: [
    ['<p>hello</p><b>world</b>', ['hello', 'world'], ['p', 'b', 'helloworld']],
    ['<a href="https://example.com/x?a>b" title=\'t\'>link</a>', ['link'], ['href', 'example']],
    ['one<br/>two<BR>three<hr class=x>four', ['one', 'two', 'three', 'four'], ['br', 'class']],
    ['before<!-- secret > comment -->after', ['before', 'after'], ['secret', 'comment']],
    ['R&amp;B &lt;b&gt; caf&eacute; &#x1F3B7; Sch&ouml;n&nbsp;ist', ['r&b', 'café', 'cafe', '🎷', 'schon', 'ist']],
    ['Ocean&#8217;s &rsquo;n', ['ocean']],
    [
      '<style>p { color: red }</style>one<SCRIPT type="x">let two = "<b>";</SCRIPT >three',
      ['one', 'three'],
      ['red', 'two', 'color'],
    ],
    ['<script>never closed', ['never', 'closed']],
    ['a < b and c > d, I <3 you', ['b', 'c', 'you', '3']],
    ['List<String> x', ['list', 'string']],
    ['open <b', ['open']],
    ['<!-- never closed jazz', ['jazz']],
    ['AT&T &unknown; &', ['att', 'unknown']],
  ],
  'case and diacritics': [
    ['İstanbul', ['istanbul', 'ISTANBUL', 'İSTANBUL']],
    ['ısı', ['isi']],
    ['J\u030cungle', ['\u01f0ungle', 'jungle']],
    ['ΟΔΥΣΣΕΥΣ', ['οδυσσευς', 'οδυσσεύς', 'ΟΔΥΣΣΕΎΣ']],
    ['café straße', ['cafe', 'CAFÉ', 'STRASSE', 'strasse', 'STRAẞE', 'cafe\u0301']],
    ['cafe strasse', ['café', 'straße']],
    ['ﬁnale', ['finale', 'FINALE']],
    ['ＡＢＣ　１２３', ['abc', '123']],
    ['abc', ['ＡＢＣ']],
    ['Łódź Ærø Øresund Þór', ['lodz', 'aero', 'oresund', 'thor', 'łódź']],
    ['Dvořák Motörhead Beyoncé São', ['dvorak', 'motorhead', 'beyonce', 'sao']],
    ['Война и мир Ёлка', ['война', 'ВОЙНА', 'елка'], ['воина']],
    ['Việt Nam', ['viet', 'việt']],
    ['مُحَمَّد كتـــاب', ['محمد', 'كتاب']],
    ['שָׁלוֹם', ['שלום']],
    ['ℋ', ['h']],
  ],
  'scripts without spaces': [
    ['東京タワー', ['東京', 'タワー', '東京タワー']],
    ['東京都庁へ行く', ['東京', '都庁', '行く']],
    ['私は猫が好きです', ['猫', '好き']],
    ['中华人民共和国', ['中华', '人民', '共和国', '中华人民共和国']],
    ['ガンダム', ['ｶﾞﾝﾀﾞﾑ', 'ガンダム']],
    ['ｶﾞﾝﾀﾞﾑ', ['ガンダム']],
    ['ハハ', ['ハハ'], ['パパ', 'ババ']],
    ['Tシャツを買う', ['シャツ', 't', 'Tシャツ']],
    ['iPhoneケース', ['iphone', 'ケース']],
    ['ภาษาไทยง่าย', ['ภาษา', 'ไทย', 'ง่าย']],
    ['ខ្ញុំស្រឡាញ់', ['ស្រឡាញ់']],
    ['မြန်မာစာ', ['မြန်မာ']],
    ['स्वतंत्रता दिवस', ['स्वतंत्रता', 'दिवस']],
  ],
  Korean: [
    ['고양이가 책을 읽는다', ['고양이', '고양이는', '책', '책을']],
    ['고양이', ['고양이가', '고양이를', '고양이']],
    ['학교에서', ['학교', '학교는']],
    ['\u1112\u1161\u11ab글', ['한글']],
    ['BTS의 노래', ['bts', '노래']],
  ],
  emoji: [
    ['party 🎷', ['🎷', 'party'], ['🎺']],
    ['party🎷🎺!', ['🎷', '🎺', 'party']],
    ['👍🏽', ['👍', '👍🏿']],
    ['👩\u200d🚀', ['👩\u200d🚀'], ['👨\u200d🚀']],
    ['🤷\u200d♀️', ['🤷', '🤷\u200d♂️']],
    ['🇫🇷🇩🇪', ['🇫🇷', '🇩🇪'], ['🇪🇸']],
    ['I ❤️ NY', ['❤', '❤️']],
    ['1️⃣', ['1']],
    ['★', ['★']],
    ['Coca-Cola® Word™', ['coca-cola', 'word']],
  ],
  'stop words': [
    ['The Who', ['the who', 'The Who', 'who']],
    ['It', ['it', 'IT']],
    ['To be or not to be', ['to be or not to be']],
    ['The Who Live', ['the live', 'the who live']],
    ['Jazz', ['the jazz', 'the who jazz'], ['the', 'the who']],
  ],
};

describe('analysis', () => {
  for (const [kind, examples] of Object.entries(kinds)) {
    it(kind, () => {
      for (const [title, found, missed = []] of examples) {
        for (const words of found) assert.ok(finds(title, words), `${title} by ${words}: not found`);
        for (const words of found) assert.ok(findsPlain(title, words), `${title} by ${words}: not found as plain text`);
        for (const words of missed) assert.ok(!finds(title, words), `${title} by ${words}: found`);
        // A text is found by itself.
        assert.ok(finds(title, title) && findsPlain(title, title), title);
      }
    });
  }

  it('a title of stop words is the first that they find', () => {
    const index = indexOf(
      [
        { title: 'Some other film', body: 'It was the one that it is, and who it was: the who.' },
        { title: 'It', body: 'A film about a clown' },
        { title: 'The Who' },
      ],
      [{ name: 'title' }, { name: 'body' }],
    );
    const first = (words: string): number | undefined => index.rank(lunrQuery(words)).after(undefined, 1)[0]?.entity;
    assert.deepEqual([first('it'), first('the who'), first('+the +who')], [1, 2, 2]);
    assert.equal(index.rank(lunrQuery('+the +clown')).total, 1, 'a required stop word is left out beside another word');
    assert.equal(index.rank(lunrQuery('film -the')).total, 1, 'a prohibited one is not');
    for (const { score } of index.rank(lunrQuery('the it who')).after(undefined, 9))
      assert.ok(score > 0 && Number.isFinite(score));
  });

  it('a compound counts as its parts in the length of a text', () => {
    const scoreOf = (first: string, second: string): number =>
      indexOf([{ title: first }, { title: second }])
        .rank(lunrQuery('jazz'))
        .after(undefined, 9)[0]!.score;
    assert.equal(scoreOf('jazz rock-pop', 'blues'), scoreOf('jazz rock pop', 'blues'));
    assert.equal(scoreOf('the jazz', 'the blues'), scoreOf('jazz', 'blues'));
  });

  it('patterns match words as they are folded', () => {
    const titles = ['Ōkami', 'Spider-Man', 'ΟΔΥΣΣΕΥΣ', 'Straße', 'C++ Primer', 'C# in Depth'].map((title) => ({
      title,
    }));
    const index = indexOf(titles);
    const found = (pattern: string): number[] =>
      index
        .rank(lunrQuery(pattern))
        .after(undefined, 9)
        .map(({ entity }) => entity);
    const expected = {
      'oka*': 0,
      'ŌKA*': 0,
      'spider-m*': 1,
      'spiderm*': 1,
      'ΟΔΥΣ*': 2,
      'οδύσ*': 2,
      'STRAS*': 3,
      'straß*': 3,
    };
    for (const [pattern, entity] of Object.entries(expected)) assert.deepEqual(found(pattern), [entity], pattern);
    assert.deepEqual([found('okamo~1'), found('spidermna~1'), found('spider-mna~1')], [[0], [1], [1]]);
  });

  it('completions have words as they are written, and begin with what they are folded to', () => {
    const index = indexOf([
      { title: 'Café Ōkami' },
      { title: 'ΟΔΥΣΣΕΥΣ' },
      { title: 'Spider-Man' },
      { title: 'the 東京タワー' },
    ]);
    const completions = (prefix: string): string[] => index.suggest(prefix, 5).map(({ completion }) => completion);
    assert.deepEqual(completions('caf'), ['café']);
    assert.deepEqual(completions('A CAFÉ'), ['A café']);
    assert.deepEqual(completions('ΟΔΥΣ'), ['οδυσσευς']);
    assert.deepEqual(completions('oka'), ['ōkami']);
    assert.deepEqual(completions('spider-m'), ['spider-man']);
    assert.deepEqual(completions('rock-spi'), ['rock-spider', 'rock-spider-man']);
    assert.deepEqual(completions('東京タ'), ['東京タワー']);
    assert.deepEqual(completions('th'), [], 'no stop words');
  });
});

describe('analysis by language', () => {
  it('stems by the language of the field, and leaves out its stop words', () => {
    const french = [{ name: 'title', language: 'fr' }] as const;
    assert.ok(finds('Les chansons françaises', 'chanson', french));
    assert.ok(finds('Les chansons françaises', 'francaise', french));
    assert.ok(!finds('Les chansons', 'les jazz', french), 'a stop word finds nothing beside another word');
    assert.ok(finds('Les', 'les', french));
    assert.ok(finds('Книги', 'книга', [{ name: 'title', language: 'ru' }]));
    assert.ok(finds('Die Häuser', 'hauser', [{ name: 'title', language: 'de' }]));
    const none = [{ name: 'title', language: 'none' }] as const;
    assert.ok(!finds('Running', 'runs', none));
    assert.ok(finds('The Running', 'the jazz', none), 'it has no stop words');
  });

  it('every language takes any text, and finds it by itself', () => {
    const text =
      'Running Häuser chansons книги עברית كتاب हिन्दी தமிழ் తెలుగు ಕನ್ನಡ संस्कृतम् ภาษาไทย 東京タワー 한국어 Ελλάδα հայ tiếng c++ 3.5';
    for (const language of languages) {
      const fields = [{ name: 'title', language }];
      for (const word of text.split(' ')) assert.ok(finds(text, word, fields), `${language}: ${word}`);
    }
  });

  it('stop words are those of the field: of its language, none, or a list', () => {
    const other = (stopWords: FieldAnalysis['stopWords']): readonly Field[] => [{ name: 'title', stopWords }];
    assert.ok(finds('The Who', 'the jazz', other(false)));
    assert.ok(!finds('Deluxe', 'deluxe jazz', other(['Deluxe'])));
    assert.ok(finds('The Who', 'the jazz', other(['Deluxe'])));
    assert.ok(finds('Deluxe', 'deluxe', other(['Deluxe'])));
  });

  it('a search in fields of several languages finds what each of them would', () => {
    const fields = [
      { name: 'title', language: 'en' },
      { name: 'titre', language: 'fr' },
      { name: 'code', language: 'none' },
      { name: 'loud', language: 'en', stopWords: false },
    ] as const;
    const documents = [
      { title: 'Running songs' },
      { titre: 'Les chansons françaises' },
      { code: 'running' },
      { code: 'run' },
      { title: 'the end', titre: 'song' },
      { loud: 'The' },
    ];
    const index = indexOf(documents, fields);
    const found = (words: string): number[] =>
      index
        .rank(lunrQuery(words))
        .after(undefined, 9)
        .map(({ entity }) => entity)
        .sort((a, b) => a - b);
    assert.deepEqual(found('running'), [0, 2]);
    assert.deepEqual(found('run'), [0, 3]);
    assert.deepEqual(found('chanson'), [1]);
    assert.deepEqual(found('songs'), [0, 4]);
    assert.deepEqual(found('title:running'), [0]);
    assert.deepEqual(found('code:running'), [2]);
    assert.deepEqual(found('the song'), [0, 4, 5], 'the stop word of the one field is a word of the other');
    assert.deepEqual(found('song -running'), [4]);
    assert.deepEqual(
      index.suggest('run', 5),
      [
        { completion: 'running', documents: 1 },
        { completion: 'run', documents: 1 },
      ].sort((a, b) => (a.completion < b.completion ? -1 : 1)),
    );
    assert.deepEqual(
      index
        .rank(lunrQuery('running'))
        .explain(0)
        .map(({ term }) => term),
      ['run'],
    );
    for (const entity of documents.keys()) index.remove(entity);
    assert.equal(index.rank(lunrQuery('*')).total, 0);
    assert.deepEqual(index.suggest('r', 5), []);
  });
});
