import { buildText, readBuild } from '@dicom-dispatch/runtime/build';
import { Command } from 'commander';
import { addAuditCommands } from './commands/audit.ts';
import { addBackupCommands } from './commands/backup.ts';
import { addBatchCommands } from './commands/batch.ts';
import { addCacheCommands } from './commands/cache.ts';
import { addConfigCommands } from './commands/config.ts';
import { addDemoCommand } from './commands/demo.ts';
import { addLookCommands } from './commands/look.ts';
import { addNotificationCommands } from './commands/notifications.ts';
import { addOperateCommands } from './commands/operate.ts';
import { addPullCommands } from './commands/pull.ts';
import { addRulesCommands } from './commands/rules.ts';
import { addServiceCommands } from './commands/services.ts';
import { addSupportCommands } from './commands/support.ts';

/** The complete command line. Commands load their modules when they run, so that `--help` is fast. */
export function createProgram(): Command {
  const program = new Command('dispatch')
    .description('Delivers each study from Orthanc completely and once to every target that the rules select.')
    .version(
      `dicom-dispatch ${buildText(readBuild())}, Node ${process.versions.node}`,
      '-V, --version',
      'show the version',
    )
    .showHelpAfterError('(dispatch --help shows the commands)')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .exitOverride()
    // Subcommands may have options with the same names.
    .enablePositionalOptions()
    .addHelpText(
      'after',
      `
Begin with:
  dispatch demo                         a complete system on this host, with sample studies
  dispatch config check dispatch.yaml   all errors in a configuration
  dispatch up                           all services in one process
  dispatch status                       overview; dispatch study ID: why a study has not arrived

Commands that need a configuration take --config FILE; without it they use $DICOM_DISPATCH_CONFIG or ./dispatch.yaml.
Commands that show or operate use Redis directly: they also work without a console.

Exit codes: 0 done, 1 failed, 2 arguments or configuration, 3 findings of "status --check", "audit" or "audit-log verify",
4 a required service does not respond, 5 no such study, delivery, target or source, 130 stopped by Ctrl-C.`,
    );
  addDemoCommand(program);
  addServiceCommands(program);
  addLookCommands(program);
  addRulesCommands(program);
  addOperateCommands(program);
  addBatchCommands(program);
  addPullCommands(program);
  addCacheCommands(program);
  addConfigCommands(program);
  addAuditCommands(program);
  addNotificationCommands(program);
  addBackupCommands(program);
  addSupportCommands(program);
  return program;
}
