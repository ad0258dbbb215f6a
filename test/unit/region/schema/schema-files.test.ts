import assert from 'node:assert/strict';
import {
  describeSchema,
  hashOf,
  incompatibilities,
  isDescription,
  reanalysedFields,
  requireCompatible,
} from '../../../../services/region/compatible/compatible.ts';
import { loadSchema, parseSchema } from '../../../../services/region/schema/parse-schema.ts';
import { languages } from '../../../../services/region/state/text/analysis/analysis.ts';
import { ConfigError } from '../../../../shared/errors/config-error.ts';
import { loadTopology, parseTopology } from '../../../../shared/topology/parse-topology.ts';

/** One line of YAML each, without indentation trouble in the tables below. */
const lines = (...text: string[]): string => text.join('\n');

const good = lines(
  'signals:',
  '  view: { sentiment: positive, half_life: 24h, windows: [all, 1h] }',
  '  hide:',
  '    sentiment: negative',
  '    half_life: 30m',
  'text:',
  '  fields: { title: { boost: 2.5 }, body: {} }',
  'embedding: { dimensions: 8 }',
);

function messageOf(parse: () => unknown): string {
  try {
    parse();
  } catch (error) {
    assert.ok(error instanceof ConfigError, `not a ConfigError: ${String(error)}`);
    return error.message;
  }
  assert.fail('the broken file was accepted');
}

describe('schema file', () => {
  it('becomes signals, text fields and dimensions, with defaults for missing entries', () => {
    const schema = parseSchema(good, 'good.yaml');
    assert.deepEqual(schema.signals.get('view'), {
      name: 'view',
      sentiment: 'positive',
      halfLifeSeconds: 86_400,
      windows: ['1h', 'all'],
    });
    assert.deepEqual(schema.signals.get('hide'), {
      name: 'hide',
      sentiment: 'negative',
      halfLifeSeconds: 1_800,
      windows: ['1h', '24h', '7d', 'all'],
    });
    assert.deepEqual(schema.textFields, [
      { name: 'title', boost: 2.5 },
      { name: 'body', boost: 1 },
    ]);
    assert.deepEqual(schema.bm25, { k1: 1.2, b: 0.75 });
    assert.equal(schema.embedding.dimensions, 8);
    assert.match(schema.hash, /^[0-9a-f]{16}$/);
  });

  it('has the language and the stop words of a text field', () => {
    const text = good.replace('{ boost: 2.5 }', '{ language: fr, stop_words: [die, und] }');
    assert.deepEqual(parseSchema(text.replace('body: {}', 'body: { stop_words: false }'), 'x').textFields, [
      { name: 'title', boost: 1, language: 'fr', stopWords: ['die', 'und'] },
      { name: 'body', boost: 1, stopWords: false },
    ]);
    for (const language of languages) {
      assert.equal(
        parseSchema(good.replace('boost: 2.5', `language: "${language}"`), 'x').textFields[0]!.language,
        language,
      );
    }
  });

  it('has a hash of what the log depends on and of how texts are analysed, and of nothing else', () => {
    const { hash } = parseSchema(good, 'a');
    const same = [
      good.replace('[all, 1h]', '[1h, all]'),
      good.replace('boost: 2.5', 'boost: 7'),
      good.replace('boost: 2.5', 'boost: 2.5, language: en, stop_words: true'),
      good.replace('24h', '1d'),
      good.replace('text:', 'text:\n  synonyms: [{ words: [film, movie] }]'),
      `${good}\nprofiles: { mine: { terms: [{ signal: view, window: all }] } }`,
      lines(
        'signals:',
        '  hide: { sentiment: negative, half_life: 30m }',
        good.split('\n')[1]!,
        ...good.split('\n').slice(5),
      ),
    ];
    for (const text of same) assert.equal(parseSchema(text, 'b').hash, hash, text);
    const others = [
      good.replace('24h', '25h'),
      good.replace('[all, 1h]', '[all]'),
      good.replace('dimensions: 8', 'dimensions: 9'),
      good.replace('sentiment: positive', 'sentiment: negative'),
      good.replace('view:', 'views:'),
      good.replace('boost: 2.5', 'boost: 2.5, language: fr'),
      good.replace('boost: 2.5', 'boost: 2.5, stop_words: false'),
      good.replace('boost: 2.5', 'boost: 2.5, stop_words: [foo]'),
    ];
    for (const text of others) assert.notEqual(parseSchema(text, 'b').hash, hash, text);
  });

  it('accepts the default files, which fit the runbook', () => {
    const schema = loadSchema('deploy/config/default-schema.yaml');
    const sentiments = [...schema.signals.values()].map(({ name, sentiment }) => `${name} ${sentiment}`);
    assert.deepEqual(sentiments, [
      'view positive',
      'like positive',
      'share positive',
      'completion positive',
      'skip negative',
      'hide negative',
    ]);
    for (const signal of schema.signals.values()) assert.deepEqual(signal.windows, ['1h', '24h', '7d', 'all']);
    assert.deepEqual(
      schema.textFields.map(({ name }) => name),
      ['title', 'description', 'category', 'tags'],
    );
    assert.equal(schema.embedding.dimensions, 4);
    assert.deepEqual([...schema.profiles.keys()], ['fresh_favourites']);
    const topology = loadTopology('deploy/config/default-cluster.yaml');
    assert.equal(topology.firstLeader, 'us-east');
    assert.deepEqual(topology.regions, [
      { name: 'us-east', url: 'http://us-east:9510' },
      { name: 'eu-west', url: 'http://eu-west:9510' },
      { name: 'ap-south', url: 'http://ap-south:9510' },
    ]);
  });

  const broken: [name: string, text: string, ...parts: RegExp[]][] = [
    [
      'empty file',
      '',
      /the file: must be a mapping with the keys version, signals, text, embedding, profiles, curations, not nothing/,
    ],
    ['a list', '- a', /the file \(line 1\): must be a mapping/],
    ['not YAML', 'signals: {', /bad\.yaml cannot be used/, /line 1: /],
    ['two documents', `${good}\n---\n${good}`, /line \d+: .*multiple documents/],
    ['key twice', `${good}\nembedding: { dimensions: 8 }`, /line 9: Map keys must be unique/],
    [
      'unknown top key',
      `${good}\nsignal: {}`,
      /signal \(line 9\): is not a known key; accepted keys: version, signals, text, embedding/,
    ],
    ['other version', `version: 2\n${good}`, /version \(line 1\): must be an integer from 1 to 1, not 2/],
    ['no signals', good.replace('signals:', 'version:'), /lacks the key signals/],
    [
      'empty signals',
      'signals: {}\ntext: { fields: { a: {} } }\nembedding: { dimensions: 1 }',
      /signals \(line 1\): must have at least 1 entry/,
    ],
    [
      'signal without a value',
      good.replace(/view: .*/, 'view:'),
      /signals\.view \(line 2\): must be a mapping with the keys sentiment, half_life, windows, not nothing/,
    ],
    ['half-life missing', good.replace('half_life: 24h, ', ''), /signals\.view \(line 2\): lacks the key half_life/],
    [
      'half-life a word',
      good.replace('24h', 'soon'),
      /signals\.view\.half_life \(line 2\): must be a duration such as 45s, 30m, 24h or 7d, at most 3650d, not "soon"/,
    ],
    ['half-life zero', good.replace('24h', '0h'), /half_life .*not "0h"/],
    ['half-life negative', good.replace('24h', '-1h'), /half_life .*not "-1h"/],
    ['half-life without unit', good.replace('24h', '24'), /half_life .*not 24/],
    ['half-life of centuries', good.replace('24h', '99999d'), /half_life .*at most 3650d, not "99999d"/],
    [
      'sentiment unknown',
      good.replace('negative', 'bad'),
      /signals\.hide\.sentiment \(line 4\): must be one of positive, negative, not "bad"/,
    ],
    [
      'window unknown',
      good.replace('[all, 1h]', '[all, 2h]'),
      /signals\.view\.windows\[1\] \(line 2\): must be one of 1h, 24h, 7d, all, not "2h"/,
    ],
    [
      'no windows',
      good.replace('[all, 1h]', '[]'),
      /signals\.view\.windows \(line 2\): must be a list of 1 to 4 elements, not 0 of them/,
    ],
    ['windows a text', good.replace('[all, 1h]', 'all'), /windows .*must be a list of 1 to 4 elements, not "all"/],
    [
      'signal name',
      good.replace('view:', 'my view:'),
      /signals\.my view \(line 2\): has a name that cannot be used; names are 1 to 64 letters/,
    ],
    [
      'misspelled signal key',
      good.replace('sentiment: positive', 'sentiment: positive, halflife: 1h'),
      /signals\.view\.halflife \(line 2\): is not a known key; accepted keys: sentiment, half_life, windows/,
    ],
    [
      'boost a word',
      good.replace('2.5', 'high'),
      /text\.fields\.title\.boost \(line 7\): must be a number from 0\.001 to 1000, not "high"/,
    ],
    ['boost zero', good.replace('2.5', '0'), /boost .*not 0/],
    ['boost not finite', good.replace('2.5', '.inf'), /boost .*not Infinity/],
    ['boost not a number', good.replace('2.5', '.nan'), /boost .*not NaN/],
    [
      'language unknown',
      good.replace('boost: 2.5', 'language: english'),
      /text\.fields\.title\.language \(line 7\): must be one of en, ar, da, de, .*, none, not "english"/,
    ],
    [
      'stop words a text',
      good.replace('boost: 2.5', 'stop_words: the'),
      /text\.fields\.title\.stop_words \(line 7\): must be true, false or a list of at most 1000 words/,
    ],
    [
      'stop words of several words',
      good.replace('boost: 2.5', 'stop_words: [a, "x,y"]'),
      /text\.fields\.title\.stop_words\[1\] \(line 7\): is not a single word/,
    ],
    ['misspelled field key', good.replace('boost', 'boots'), /accepted keys: boost, language, stop_words/],
    ['field name', good.replace('title:', 'my-title:'), /text\.fields\.my-title .*has a name/],
    [
      'b beyond 1',
      good.replace('text:', 'text:\n  bm25: { b: 2 }'),
      /text\.bm25\.b \(line 7\): must be a number from 0 to 1, not 2/,
    ],
    [
      'dimensions zero',
      good.replace('dimensions: 8', 'dimensions: 0'),
      /embedding\.dimensions \(line 8\): must be an integer from 1 to 4096, not 0/,
    ],
    ['dimensions fraction', good.replace('dimensions: 8', 'dimensions: 1.5'), /dimensions .*not 1\.5/],
    ['alias to nothing', good.replace('24h', '*gone'), /bad\.yaml cannot be used/],
  ];
  for (const [name, text, ...parts] of broken) {
    it(`refuses: ${name}`, () => {
      const message = messageOf(() => parseSchema(text, 'bad.yaml'));
      assert.match(message, /^bad\.yaml /);
      for (const part of parts) assert.match(message, part);
    });
  }

  it('reports all mistakes at once', () => {
    const message = messageOf(() =>
      parseSchema(
        good.replace('24h', 'x').replace('negative', 'y').replace('dimensions: 8', 'dimensions: z'),
        'bad.yaml',
      ),
    );
    for (const path of ['signals.view.half_life', 'signals.hide.sentiment', 'embedding.dimensions']) {
      assert.ok(message.includes(path), message);
    }
    assert.equal(message.split('\n').length, 4);
  });

  it('names a file that is not there', () => {
    assert.match(
      messageOf(() => loadSchema('no/such.yaml')),
      /^no\/such\.yaml: cannot be read \(no such file\)$/,
    );
    assert.match(
      messageOf(() => loadTopology('deploy')),
      /^deploy: cannot be read \(EISDIR\)$/,
    );
  });
});

describe('schema change', () => {
  const former = describeSchema(parseSchema(good, 'former'));
  const changes = (text: string): string[] =>
    incompatibilities(JSON.parse(JSON.stringify(former)), describeSchema(parseSchema(text, 'present')));

  it('takes additions, and everything the log does not depend on', () => {
    assert.deepEqual(changes(good), []);
    assert.deepEqual(changes(good.replace('[all, 1h]', '[1h, 24h, 7d, all]')), []);
    assert.deepEqual(changes(good.replace('signals:', 'signals:\n  like: { sentiment: positive, half_life: 1h }')), []);
    assert.deepEqual(changes(good.replace('boost: 2.5', 'boost: 9').replace('body', 'text')), []);
  });

  const refused: [string, string, RegExp][] = [
    ['another half-life', good.replace('24h', '12h'), /^signals\.view\.half_life: was 86400s, cannot become 43200s/],
    [
      'another sentiment',
      good.replace('negative', 'positive'),
      /^signals\.hide\.sentiment: was negative, cannot become positive/,
    ],
    ['a lost window', good.replace('[all, 1h]', '[all]'), /^signals\.view\.windows: cannot lose 1h/],
    ['a lost signal', good.replace('view:', 'views:'), /^signals\.view: is missing/],
    [
      'other dimensions',
      good.replace('dimensions: 8', 'dimensions: 4'),
      /^embedding\.dimensions: was 8, cannot become 4/,
    ],
  ];
  for (const [name, text, expected] of refused) {
    it(`refuses ${name}`, () => {
      const found = changes(text);
      assert.equal(found.length, 1);
      assert.match(found[0]!, expected);
      assert.match(
        messageOf(() => requireCompatible(former, parseSchema(text, 'present'), 'present.yaml')),
        /^present\.yaml changes what the data/,
      );
    });
  }
});

describe('text analysis between two starts', () => {
  const described = (title: string, body = '{}') =>
    describeSchema(parseSchema(good.replace('{ boost: 2.5 }', title).replace('body: {}', `body: ${body}`), 'x'));

  it('is another one for the fields whose language or stop words changed, and for new ones', () => {
    const former = described('{}');
    assert.deepEqual(reanalysedFields(former, described('{ boost: 7, language: en }')), []);
    assert.deepEqual(reanalysedFields(former, described('{ language: none }')), ['title']);
    assert.deepEqual(reanalysedFields(former, described('{}', '{ stop_words: [a] }')), ['body']);
    const stopWords = described('{ stop_words: [b, a] }');
    assert.deepEqual(reanalysedFields(stopWords, described('{ stop_words: [a, b, a] }')), []);
    const added = describeSchema(parseSchema(good.replace('body: {}', 'body: {}, tags: {}'), 'x'));
    assert.deepEqual(reanalysedFields(former, added), ['tags']);
  });

  it('is another one for all fields under another version of analysis, or one that did not describe it', () => {
    const { text, ...former } = described('{}');
    assert.deepEqual(reanalysedFields(former, described('{}')), ['body', 'title']);
    assert.deepEqual(reanalysedFields({ ...former, text: { ...text!, version: 0 } }, described('{}')), [
      'body',
      'title',
    ]);
  });

  it('is another one for all fields where what the store has describes none', () => {
    const { text, ...former } = described('{}');
    const field = text!.fields[0];
    for (const malformed of [
      ...[
        null,
        7,
        'x',
        [],
        {},
        { ...former, text: null },
        { ...former, text: 'x' },
        { ...former, text: { version: 1 } },
      ],
      ...[null, 5, {}, [null], ['x'], [{}]].map((fields) => ({ ...former, text: { ...text!, fields } })),
    ]) {
      assert.deepEqual(reanalysedFields(malformed, described('{}')), ['body', 'title'], JSON.stringify(malformed));
    }
    const oneOfTwo = { ...former, text: { ...text!, fields: [null, field] } };
    assert.deepEqual(reanalysedFields(oneOfTwo, described('{}')), ['title']);
  });

  it('changes the hash, and never the compatibility', () => {
    const { text, ...former } = described('{}');
    const present = described('{ language: de }');
    assert.equal(
      new Set([former, { ...former, text: { ...text!, version: 0 } }, described('{}'), present].map(hashOf)).size,
      4,
    );
    assert.deepEqual(incompatibilities(former, present), []);
    assert.ok(isDescription(former) && isDescription(present));
  });
});

describe('topology file', () => {
  const topology = lines(
    'leader: us-east',
    'regions:',
    '  - name: us-east',
    '    url: https://10.0.0.1:9511/',
    '  - name: eu-west',
  );

  it('becomes regions in the order of the file', () => {
    assert.deepEqual(parseTopology(topology, 't'), {
      firstLeader: 'us-east',
      regions: [
        { name: 'us-east', url: 'https://10.0.0.1:9511' },
        { name: 'eu-west', url: 'http://eu-west:9510' },
      ],
    });
  });

  it('failover is manual unless it says otherwise; after 5 s unless it says how long', () => {
    const failoverOf = (...more: string[]) => parseTopology(lines(...more, topology), 't').failover;
    assert.equal(failoverOf(), undefined);
    assert.equal(failoverOf('failover: manual'), undefined);
    assert.equal(failoverOf('failover: manual', 'failover_after: 9s'), undefined);
    assert.deepEqual(failoverOf('failover: automatic'), { afterMs: 4_000 });
    assert.deepEqual(failoverOf('failover: automatic', 'failover_after: 2m'), { afterMs: 120_000 });
  });

  const seventeen = lines('leader: r1', 'regions:', ...Array.from({ length: 17 }, (_, i) => `  - name: r${i + 1}`));
  const broken: [name: string, text: string, ...parts: RegExp[]][] = [
    ['empty file', '', /must be a mapping with the keys version, leader, failover, failover_after, regions/],
    ['no leader', topology.replace('leader: us-east', ''), /the file \(line 2\): lacks the key leader/],
    [
      'leader elsewhere',
      topology.replace('leader: us-east', 'leader: mars'),
      /leader \(line 1\): must be one of the regions us-east, eu-west, not mars/,
    ],
    ['failover of another kind', `failover: yes\n${topology}`, /failover \(line 1\): must be one of manual, automatic/],
    ...['1s', '2h', 'soon', '5'].map((text): [string, string, RegExp] => [
      `failover_after ${text}`,
      `failover: automatic\nfailover_after: ${text}\n${topology}`,
      /failover_after \(line 2\): must be a duration from 2s to 1h, such as 5s/,
    ]),
    [
      'failover_after alone',
      `failover_after: 5s\n${topology}`,
      /failover_after \(line 1\): goes with failover: automatic, which is missing/,
    ],
    ['no regions', 'leader: a\nregions: []', /regions \(line 2\): must be a list of 1 to 16 elements, not 0 of them/],
    ['too many regions', seventeen, /regions .*must be a list of 1 to 16 elements, not 17 of them/],
    [
      'regions a mapping',
      'leader: a\nregions: { a: {} }',
      /regions .*must be a list of 1 to 16 elements, not a mapping/,
    ],
    [
      'name twice',
      topology.replace('eu-west', 'us-east'),
      /regions\[1\]\.name \(line 5\): is the second region named us-east/,
    ],
    [
      'name in capitals',
      topology.replace('eu-west', 'EU'),
      /regions\[1\]\.name \(line 5\): must be a region name of 1 to 32 lower-case letters, digits and hyphens, not "EU"/,
    ],
    ['name a number', topology.replace('eu-west', '7'), /regions\[1\]\.name .*not 7/],
    ['name too long', topology.replace('eu-west', 'a'.repeat(33)), /regions\[1\]\.name/],
    ['no name', topology.replace('name: eu-west', 'url: http://a'), /regions\[1\] \(line 5\): lacks the key name/],
    [
      'url not http',
      topology.replace('https:', 'ftp:'),
      /regions\[0\]\.url \(line 4\): must be a base URL such as http:\/\/us-east:9510/,
    ],
    ['url with a path', topology.replace('9511/', '9511/api'), /regions\[0\]\.url .*without path or query/],
    ['url not a URL', topology.replace('https://10.0.0.1:9511/', 'http://:x'), /regions\[0\]\.url/],
    [
      'url twice',
      `${topology}\n    url: https://10.0.0.1:9511`,
      /regions\[1\]\.url \(line 6\): is the address of us-east too/,
    ],
    [
      'unknown key',
      `${topology}\n    port: 1`,
      /regions\[1\]\.port \(line 6\): is not a known key; accepted keys: name, url/,
    ],
  ];
  for (const [name, text, ...parts] of broken) {
    it(`refuses: ${name}`, () => {
      const message = messageOf(() => parseTopology(text, 'bad.yaml'));
      assert.match(message, /^bad\.yaml cannot be used/);
      for (const part of parts) assert.match(message, part);
    });
  }

  it('one mistake is reported once: a region whose address cannot be read is still a region', () => {
    for (const url of ['ftp://a', 'http://:x', 'https://10.0.0.1:9511/api', '7']) {
      const message = messageOf(() => parseTopology(topology.replace('https://10.0.0.1:9511/', url), 'bad.yaml'));
      assert.match(message, /regions\[0\]\.url/);
      assert.doesNotMatch(message, /leader/, url);
    }
    const unnamed = messageOf(() => parseTopology(topology.replace('name: us-east', 'name: US'), 'bad.yaml'));
    assert.match(unnamed, /regions\[0\]\.name/);
    assert.doesNotMatch(unnamed, /leader/);
    const twice = topology.replace('https://10.0.0.1:9511/', 'ftp://a').replace('eu-west', 'us-east');
    assert.match(
      messageOf(() => parseTopology(twice, 'bad.yaml')),
      /is the second region named us-east/,
    );
  });
});
