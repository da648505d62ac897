import { expect, it } from 'vitest';
import { z } from 'zod';
import { configJsonSchema, parseConfig, Secret, targetOptions, type TargetSchema } from '../index.ts';

const disk = z.strictObject({ type: z.literal('disk'), ...targetOptions, path: z.string() });
const net = z.strictObject({
  type: z.literal('net'),
  ...targetOptions,
  port: z.int(),
  password: z.custom<Secret>((value) => value instanceof Secret, 'a secret').optional(),
});
const schemas = [disk, net] as unknown as TargetSchema[];
const good = {
  sources: { main: { url: 'http://127.0.0.1:8042' } },
  targets: { archive: { type: 'disk', path: '/data' } },
  rules: [{ name: 'all', targets: ['archive'] }],
};

function problemsOf(raw: unknown): string[] {
  const parsed = parseConfig(raw, schemas);
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path.join('.')}: ${message}`);
}

it('fills in every default', () => {
  const parsed = parseConfig(good, schemas);
  expect(parsed).toMatchObject({
    ok: true,
    config: {
      sources: { main: { pollInterval: 1000, startFrom: 'now' } },
      targets: { archive: { attempts: 8, backoff: { first: 5000, max: 900_000 } } },
      redis: { prefix: '{dicom-dispatch}' },
      console: { listen: '127.0.0.1:8080' },
    },
  });
});

it('finds all problems at once, with value and remedy', () => {
  const problems = problemsOf({
    sources: { main: { url: 'ftp://x' }, 'Bad Name': { url: 'http://x' } },
    targets: { archive: { type: 'dsk', path: '/data' }, other: { type: 'disk', path: 3, colour: 'red' } },
    rules: [
      { name: 'one', targets: ['archive', 'nowhere'], when: 'study.Modality ==' },
      { name: 'one', targets: ['archive'], sources: ['elsewhere'], priority: 'asap' },
    ],
    queue: {},
  });
  expect(problems.sort()).toMatchInlineSnapshot(`
    [
      "queue: unknown key "queue": remove it or correct its spelling",
      "rules.0.targets.1: "nowhere" is not among the targets: use one of archive, other",
      "rules.0.when: the expression cannot be used: line 1, column 18: Unexpected token: EOF",
      "rules.1.name: "one" is the name of an earlier rule: give each rule a unique name",
      "rules.1.priority: "asap" is not one of stat, urgent, normal, background",
      "rules.1.sources.0: "elsewhere" is not among the sources: use one of main, Bad Name",
      "sources.Bad Name: "Bad Name": a name has 1 to 63 characters: a-z, 0-9, dot, hyphen, underscore; first a letter or digit",
      "sources.main.url: "ftp://x": a URL with http:// or https://",
      "targets.archive.type: "dsk" is not a known type: use one of disk, net",
      "targets.other.colour: unknown key "colour": remove it or correct its spelling",
      "targets.other.path: 3 is not a text: write it in quotes",
    ]
  `);
});

it('reports the new name of a renamed option of a target', () => {
  const target = { type: 'disk', path: '/data', associations: 3, lanes: 2, answerTimeout: '30s', verifyWait: '5s' };
  const config = {
    sources: { main: { url: 'http://x' } },
    targets: { archive: target },
    lanes: 2,
    cache: { retention: 'cached' },
  };
  expect(problemsOf(config)).toMatchInlineSnapshot(`
    [
      "cache.retention: "retention" was removed: give cache.types.NAME.retention for the types that are not kept as usual",
      "targets.archive.associations: "associations" is now called "maxParallel": rename it",
      "targets.archive.lanes: "lanes" is now called "maxParallel": rename it",
      "targets.archive.answerTimeout: "answerTimeout" is now called "timeout": rename it",
      "targets.archive.verifyWait: "verifyWait" is now called "verifyTimeout": rename it",
      "lanes: unknown key "lanes": remove it or correct its spelling",
    ]
  `);
});

it('rejects a file that is not a mapping', () => {
  expect(problemsOf('hello').length).toBeGreaterThan(0);
  expect(problemsOf(undefined).length).toBeGreaterThan(0);
});

it('generates a JSON Schema with the targets and the secrets', () => {
  const text = JSON.stringify(configJsonSchema(schemas));
  expect(text).toContain('"disk"');
  expect(text).toContain('"file"');
});

it.each<[string, string, string | undefined]>([
  ['lockTime', '1999ms', 'at least 2s'],
  ['lockTime', '2s', undefined],
  ['memory', '15999kB', 'at least 16MB'],
  ['memory', '16MB', undefined],
])('the dispatcher accepts %s of %s: problem %s', (option, value, message) => {
  expect(problemsOf({ ...good, dispatcher: { [option]: value } })).toEqual(
    message === undefined ? [] : [`dispatcher.${option}: ${message}`],
  );
});
