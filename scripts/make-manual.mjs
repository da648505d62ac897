// Prints the manual page of the command line, from the same descriptions as --help.
//   node make-manual.mjs APP      (APP: the repository, or where a package has it)
import { join } from 'node:path';

const app = process.argv[2] ?? '.';
const { createProgram } = await import(join(app, 'packages/cli/src/create-program.ts'));

/** A text of roff: hyphens are hyphens, and no line begins a request. */
const text = (words) => words.replaceAll('\\', '\\e').replaceAll('-', '\\-').replace(/^[.']/gm, '\\&$&');
const lines = ['.TH DICOM\\-DISPATCH 1', '.SH NAME', 'dicom\\-dispatch \\- dispatches DICOM studies from Orthanc'];
const program = createProgram();
lines.push('.SH SYNOPSIS', '.B dicom\\-dispatch', '[\\fIcommand\\fR] [\\fIoptions\\fR]');
lines.push('.SH DESCRIPTION', text(program.description()));
lines.push('.SH COMMANDS');
describe(program, []);
lines.push(
  '.SH FILES',
  '.TP',
  '.I /etc/dicom\\-dispatch/dispatch.yaml',
  'The configuration. Another is named by \\-\\-config or DICOM_DISPATCH_CONFIG.',
);
lines.push('.TP', '.I /usr/share/doc/dicom\\-dispatch/example.yaml', 'Every option with its default.');
lines.push(
  '.SH EXIT STATUS',
  '0 done, 1 failed, 2 arguments or configuration, 3 "status \\-\\-check" found trouble, 4 a required service does not respond, 5 no such study, delivery or target, 130 stopped by Ctrl\\-C.',
);
console.log(lines.join('\n'));

function describe(command, path) {
  for (const one of command.commands) {
    const own = [...path, one.name()];
    if (one.commands.length === 0 || one.registeredArguments.length > 0) {
      const names = one.registeredArguments.map((argument) =>
        argument.required ? `<${argument.name()}>` : `[${argument.name()}]`,
      );
      lines.push('.SS', `\\fB${text(own.join(' '))}\\fR ${text(names.join(' '))}`.trim(), text(one.description()));
      for (const option of one.options)
        lines.push('.TP', `\\fB${text(option.flags)}\\fR`, text(option.description || ' '));
    }
    describe(one, own);
  }
}
