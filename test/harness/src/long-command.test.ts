import { describe, expect, it } from 'vitest';
import { longHelp, parseLongCommand } from './long-command.ts';

const command = {
  usage: './dispatch bench example',
  about: 'Measures an example.',
  positionals: '[FROM] [TO]',
  options: {
    runs: { type: 'number', default: 3, about: 'rounds of each measurement' },
    kinds: { type: 'list', of: ['dicom', 'folder', 's3'], about: 'kinds of target' },
    sets: { type: 'list', of: ['small', 'large'], default: ['small'], about: 'sizes of instances' },
    main: { type: 'string', about: 'command line of another version' },
    write: { type: 'boolean', about: 'write the result into the documentation' },
  },
} as const;

describe('parseLongCommand', () => {
  it('gives defaults, numbers as numbers, and other arguments', () => {
    expect(parseLongCommand(command, ['4', '--runs', '5', '7'])).toEqual({
      values: { runs: 5, kinds: ['dicom', 'folder', 's3'], sets: ['small'], main: undefined, write: false },
      positionals: ['4', '7'],
    });
    expect(parseLongCommand(command, ['--write', '--main=x', '--runs=0', '--kinds', 's3,dicom'])).toMatchObject({
      values: { runs: 0, kinds: ['s3', 'dicom'], main: 'x', write: true },
    });
  });

  it.each(['-h', '--help'])('is asked for help with %s, also beside other options', (help) => {
    expect(parseLongCommand(command, ['--write', help])).toBe('help');
  });

  it.each(['abc', '', ' ', '-1', 'Infinity', '1e999', '3,5'])(
    'refuses %j as a number, and names option and value',
    (value) => {
      expect(() => parseLongCommand(command, [`--runs=${value}`])).toThrow(
        `--runs is ${JSON.stringify(value)}; give a number of 0 or more.`,
      );
    },
  );

  it.each(['sftp', '', 'dicom,', 'dicom, folder'])('refuses a list with an unknown value: %j', (value) => {
    expect(() => parseLongCommand(command, [`--kinds=${value}`])).toThrow('is none of dicom, folder, s3.');
  });

  it('refuses unknown options, and arguments where none are allowed', () => {
    expect(() => parseLongCommand(command, ['--rnus', '3'])).toThrow("Unknown option '--rnus'");
    const { positionals: _, ...none } = command;
    expect(() => parseLongCommand(none, ['4'])).toThrow("Unexpected argument '4'");
  });
});

describe('longHelp', () => {
  it('names every option with its default', () => {
    expect(longHelp(command)).toBe(`Usage: ./dispatch bench example [options] [FROM] [TO]

Measures an example.

Options:
  --runs NUMBER  rounds of each measurement (default 3)
  --kinds LIST   kinds of target (some of dicom,folder,s3; default all)
  --sets LIST    sizes of instances (some of small,large; default small)
  --main TEXT    command line of another version
  --write        write the result into the documentation
  -h, --help     show this help
`);
  });
});
