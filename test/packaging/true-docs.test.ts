import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { exitCodes } from '@dicom-dispatch/cli/exit';
import { createProgram } from '@dicom-dispatch/cli/program';
import { configJsonSchema, isErrorCode, type TargetSchema } from '@dicom-dispatch/core';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { beforeAll, expect, it } from 'vitest';

/** Everything that the documents name must exist: links, files, commands with their options, configuration, metrics. */

const root = fileURLToPath(new URL('../..', import.meta.url));
let files: string[];
/** Every document, by its path from the root. */
const pages = new Map<string, string>();

beforeAll(async () => {
  const { stdout } = await promisify(execFile)('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  });
  files = stdout
    .trim()
    .split('\n')
    .filter((file) => existsSync(join(root, file)));
  const documents = files.filter((file) => file.endsWith('.md'));
  await Promise.all(documents.map(async (file) => pages.set(file, await readFile(join(root, file), 'utf8'))));
});

/** Every problem as `FILE: what`. */
function inEachPage(look: (page: string, text: string) => Iterable<string>): string[] {
  return [...pages].flatMap(([page, text]) => [...look(page, text)].map((problem) => `${page}: ${problem}`)).sort();
}

/** The anchor of a heading. */
function slug(heading: string): string {
  return heading
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll('`', '')
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');
}

it('links lead to files and headings that are there', () => {
  const problems = inEachPage(function* (page, text) {
    for (const [, target = ''] of text.replaceAll(/^```[\s\S]*?^```/gm, '').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : relative(root, join(root, dirname(page), path));
      if (!existsSync(join(root, file))) yield `the link ${target}`;
      else if (anchor !== undefined) {
        const headings = [...(pages.get(file) ?? '').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => slug(heading));
        if (!headings.includes(anchor)) yield `the heading of ${target}`;
      }
    }
  });
  expect(problems).toEqual([]);
});

/** Text between backticks, and lines of code. */
function* codeOf(text: string): Iterable<string> {
  for (const [, code = ''] of text.matchAll(/`([^`\n]+)`/g)) yield code;
  for (const [, block = ''] of text.matchAll(/^```[^\n]*\n([\s\S]*?)^```/gm)) yield* block.split('\n');
  for (const [, line = ''] of text.matchAll(/^ {4,}(\S.*)$/gm)) yield line;
}

it('files of the repository that documents name are there', () => {
  const places = /(?<![\w/.:*-])(?:packages|services|test|docs|deploy|scripts|examples)\/[\w./-]+\w(?!-?[*<{]|\w)/g;
  const problems = inEachPage(function* (page, text) {
    for (const code of codeOf(text)) {
      for (const [file] of code.matchAll(places)) {
        // A README names files from the folder of its package as well.
        if (![root, join(root, dirname(page))].some((from) => existsSync(join(from, file)))) yield `the file ${file}`;
      }
    }
  });
  expect(problems).toEqual([]);
});

type Command = ReturnType<typeof createProgram>;

/** The command that words name, and those that are no command. */
function findCommand(words: readonly string[]): { command: Command; path: string[] } {
  let command = createProgram();
  const path: string[] = [];
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (!next) break;
    command = next;
    path.push(word);
  }
  return { command, path };
}

/** The help of a command and of those below it. */
function helpOf(command: Command): string {
  let help = '';
  command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
  return [help, ...command.commands.map(helpOf)].join('\n');
}

it('commands and their options are those of the program', async () => {
  const campaigns = new Set((await readdir(join(root, 'test/chaos'))).map((name) => name.replace(/\.ts$/, '')));
  const benches = new Set((await readdir(join(root, 'test/bench'))).map((name) => name.replace(/\.ts$/, '')));
  pages.set('help of the commands', helpOf(createProgram()).replaceAll(/^ {2}(?=dispatch )/gm, '    '));
  const problems = inEachPage(function* (_, text) {
    for (const code of codeOf(text)) {
      const line = /^(?:\$ )?(?:\.\/)?dispatch ((?:(?!\s+#|\s{2,}|[|;&<>]| && ).)*)/.exec(code)?.[1];
      if (line === undefined || /[{…]/.test(line.split(' ')[0] ?? '')) continue;
      const words = line.trim().split(/\s+/);
      const [first = '', second = ''] = words;
      // Commands of the entry script.
      if (first === 'bench' && /^[a-z-]+$/.test(second) && !benches.has(second)) yield `dispatch bench ${second}`;
      if (first === 'chaos' && /^[a-z-]+$/.test(second) && !campaigns.has(second) && second !== 'model')
        yield `dispatch chaos ${second}`;
      if (
        ['bench', 'chaos', 'test', 'pnpm', 'docs', 'package', 'help'].includes(first) ||
        !/^[a-z][a-z-]*$/.test(first)
      ) {
        continue;
      }
      const { command, path } = findCommand(words);
      if (path.length === 0) {
        yield `the command dispatch ${first}`;
        continue;
      }
      if (
        command.commands.length > 0 &&
        /^[a-z][a-z-]+$/.test(words[path.length] ?? '') &&
        command.registeredArguments.length === 0
      ) {
        yield `the command dispatch ${[...path, words[path.length]].join(' ')}`;
      }
      for (const [option] of line.matchAll(/(?<=^|\s|\[)--[a-z][a-z-]*/g)) {
        const known = [...command.options, ...createProgram().options].map(({ long }) => long);
        if (!known.includes(option) && option !== '--help') yield `the option ${option} of dispatch ${path.join(' ')}`;
      }
      for (const { long, argChoices = [] } of command.options) {
        const [, value] = new RegExp(`${long} ([a-z-]+)`).exec(line) ?? [];
        if (argChoices.length > 0 && value !== undefined && !argChoices.includes(value))
          yield `the value ${value} of ${long}, dispatch ${path.join(' ')}`;
      }
      const [, errorCode] = / --code ([a-z-]+)/.exec(line) ?? [];
      if (errorCode !== undefined && !isErrorCode(errorCode)) yield `the error code ${errorCode}`;
    }
  });
  pages.delete('help of the commands');
  expect(problems).toEqual([]);
});

it('the page of the command line has every command', () => {
  const text = pages.get('docs/command-line.md') ?? '';
  const missing = createProgram()
    .commands.map((command) => command.name())
    .filter((name) => name !== 'help' && !new RegExp(`(?:\`|dispatch )${name}\\b`).test(text));
  expect(missing).toEqual([]);
});

it('the help and the page of the command line have every exit code', () => {
  const [, section = ''] = (pages.get('docs/command-line.md') ?? '').split('## Exit codes\n');
  const listed = [...(section.split('\n## ')[0] ?? '').matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  expect(listed).toEqual(Object.values(exitCodes));
  let help = '';
  const program = createProgram().configureOutput({ writeOut: (text) => (help += text) });
  program.outputHelp();
  const [, codes = ''] = help.split('Exit codes: ');
  for (const code of Object.values(exitCodes)) expect(codes).toMatch(new RegExp(`(?:^|\\s)${code} `));
});

it('commands that need no configuration, and only those, have no --config', () => {
  const without: string[] = [];
  const look = (command: Command, path: readonly string[]): void => {
    for (const one of command.commands) look(one, [...path, one.name()]);
    const isGroup = command.commands.length > 0 && command.registeredArguments.length === 0;
    if (!isGroup && !command.options.some(({ long }) => long === '--config')) without.push(path.join(' '));
  };
  for (const one of createProgram().commands) look(one, [one.name()]);
  const [, named = ''] = /\(all except ([^)]*)\)/.exec(pages.get('docs/command-line.md') ?? '') ?? [];
  expect(without.sort()).toEqual([...named.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name).sort());
});

/** Sources of the console, by their path from the root. */
async function consoleSources(): Promise<string> {
  const sources = files.filter((file) => /^services\/console\/src\/.*(?<!\.test)\.ts$/.test(file));
  return (await Promise.all(sources.map((file) => readFile(join(root, file), 'utf8')))).join('\n');
}

it('addresses of the API that documents name are routes of the console', async () => {
  const routes = new Set(
    [...(await consoleSources()).matchAll(/'(\/api\/[\w/.:-]+)'/g)].map(([, path = '']) =>
      path.replaceAll(/:\w+/g, '*'),
    ),
  );
  const isRoute = (path: string): boolean => {
    const parts = path.split('/');
    return [...routes].some((route) => {
      const wanted = route.split('/');
      // Beginnings of routes are named as well.
      return parts.every((part, at) => wanted[at] === part || (wanted[at] === '*' && /^(?:[A-Z]+|d-\w+)$/.test(part)));
    });
  };
  const problems = inEachPage(function* (_, text) {
    for (const [path] of text.matchAll(/\/api\/[\w/.-]*\w/g)) if (!isRoute(path)) yield path;
  });
  expect(problems).toEqual([]);
});

it('the page for operators has every page of the console and every state of a delivery', async () => {
  const text = pages.get('docs/operations.md') ?? '';
  const navigation = await readFile(join(root, 'services/console/src/pages/layout/navigation.ts'), 'utf8');
  const labels = [...navigation.matchAll(/label: '([^']+)'/g)].map(([, label = '']) => label);
  expect(labels.length).toBeGreaterThan(10);
  expect(labels.filter((label) => !text.includes(`\n| **${label}** |`))).toEqual([]);
  const components = await readFile(join(root, 'services/console/src/pages/components.ts'), 'utf8');
  const states = [...components.matchAll(/\{ sign: '.', text: '([^']+)' \}/g)].map(([, state = '']) => state);
  expect(states.length).toBeGreaterThan(8);
  const [, table = ''] = text.split('\n## States\n');
  expect(states.filter((state) => !table.includes(`\n| ${state} |`))).toEqual([]);
});

it('tests that the page of failures names are there', async () => {
  const [table = ''] = (pages.get('docs/failure-modes.md') ?? '').split('\n## Findings\n');
  const tests = files.filter((file) => file.endsWith('.test.ts')).map((file) => `/${file}`);
  const problems: string[] = [];
  let named = 0;
  for (const [, cell = ''] of table.matchAll(/^\| .* \| ([^|]+) \|$/gm)) {
    let folder = '';
    let file: string | undefined;
    // e.g. `e2e/feed-traps 1, 2, source-trouble`: numbered tests of a file, then another file of the same folder.
    for (const part of cell.split(', ')) {
      const [, path, number] = /^(?=\S)([a-z][\w-]*(?:\/[\w-]+)*)? ?(\d+)?$/.exec(part) ?? [];
      if (path === undefined && number === undefined) continue;
      named += 1;
      if (path !== undefined) {
        const name = path.split('/').at(-1)!;
        folder = path.includes('/') ? path.split('/')[0]! : folder;
        const inFolder = tests.filter((one) => one.includes(`/${folder}/`));
        file =
          inFolder.find((one) => one.endsWith(`/${name}.test.ts`) || one.includes(`/${name}/`)) ??
          tests.find((one) => one.includes(`/${name}/`));
      }
      const text = file === undefined ? '' : await readFile(join(root, file), 'utf8');
      if (file === undefined || (number !== undefined && !new RegExp(`'(?:\\d+, )*${number}(?:, \\d+)*: `).test(text)))
        problems.push(part);
    }
  }
  expect(problems).toEqual([]);
  expect(named).toBeGreaterThan(40);
});

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
}

function has(schema: JsonSchema | undefined, keys: readonly string[]): boolean {
  if (!schema) return false;
  const [key, ...rest] = keys;
  if (key === undefined) return true;
  const inside = [schema.properties?.[key], schema.additionalProperties, schema.items].filter(
    (one): one is JsonSchema => typeof one === 'object',
  );
  const alternatives = [...(schema.anyOf ?? []), ...(schema.oneOf ?? []), ...(schema.allOf ?? [])];
  return (
    inside.some((one) => has(one, one === schema.items && !schema.properties ? keys : rest)) ||
    alternatives.some((one) => has(one, keys))
  );
}

it('options of the configuration that documents name are in its schema', () => {
  const schemas = Object.values(targetSchemas) as unknown as readonly TargetSchema[];
  const schema = configJsonSchema(schemas) as JsonSchema;
  const sections = Object.keys(schema.properties ?? {});
  const problems = inEachPage(function* (page, text) {
    // Options of previous versions may no longer exist.
    if (page === 'CHANGELOG.md') return;
    for (const code of codeOf(text)) {
      const dotted = /^([a-z][A-Za-z]*(?:\.(?:[A-Za-z][A-Za-z0-9]*|\*))+)(?:: .*)?$/.exec(code)?.[1];
      if (dotted === undefined) continue;
      const keys = dotted.split('.');
      if (!sections.includes(keys[0] ?? '') || /\.(?:ts|js|md|ya?ml|json|lua|sh|test)$/.test(dotted)) continue;
      if (!has(schema, keys)) yield `the option ${dotted}`;
    }
  });
  expect(problems).toEqual([]);
});

it('metrics and environment variables that documents name are in the code', async () => {
  const sources = files.filter((file) => !file.endsWith('.md') && !/^(?:docs|deploy\/grafana)\//.test(file));
  const code = (await Promise.all(sources.map((file) => readFile(join(root, file), 'utf8')))).join('\n');
  const known = new Set(code.match(/\b(?:dispatch_[a-z_]+|DICOM_DISPATCH_[A-Z_]+)\b/g));
  const extra = await Promise.all(
    files
      .filter((file) => file.startsWith('deploy/grafana/'))
      .map(async (file) => [file, await readFile(join(root, file), 'utf8')] as const),
  );
  const problems = [...pages, ...extra].flatMap(([page, text]) =>
    (text.match(/\b(?:dispatch_[a-z_]+|DICOM_DISPATCH_[A-Z_]+)\b/g) ?? [])
      .filter(
        (name) => !known.has(name) && !known.has(name.replace(/_(?:bucket|sum|count)$/, '')) && !name.endsWith('_'),
      )
      .map((name) => `${page}: ${name}`),
  );
  expect([...new Set(problems)].sort()).toEqual([]);
});

it('numbers of the conformance statement are those of the code', async () => {
  const text = await readFile(join(root, 'docs/conformance.md'), 'utf8');
  const target = targetSchemas.dicom.parse({ type: 'dicom', host: 'pacs.example', calledAeTitle: 'PACS' });
  const { concurrency, maxParallel, connectTimeout, associationTimeout, timeout, commitment } = target;
  expect(text).toContain(`(\`concurrency\`) | ${concurrency} |`);
  expect(text).toContain(`(\`maxParallel\`) | ${maxParallel}; \`auto\``);
  expect(text).toContain(`to a target | ${concurrency * Number(maxParallel)} | \`concurrency\` × \`maxParallel\` |`);
  for (const [option, ms] of Object.entries({ connectTimeout, associationTimeout, timeout })) {
    expect(text).toContain(`| ${ms / 1000} s | \`${option}\` |`);
  }
  expect(text).toContain(`\`commitment.timeout\` (default ${commitment.timeout / 60_000} minutes)`);
  expect(text).toContain(`(\`callingAeTitle\`, default ${target.callingAeTitle})`);
});
