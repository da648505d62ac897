import type { Command } from 'commander';
import type { BackupCommandOptions, RestoreCommandOptions } from '../operate/backup.ts';
import { withConfig, withExamples, withJson } from './options.ts';

/** `backup` and `restore` of all state in Redis. */
export function addBackupCommands(program: Command): void {
  const backup = program
    .command('backup')
    .description(
      'write all state in Redis to one file, also while services are running; without secrets; the configuration only with `configuration: redis`',
    )
    .argument('<file>', 'gzip file; an existing file is replaced when the new one is complete')
    .option('--check', 'do not write: read this file and verify its digests')
    .action(async (file: string, options: BackupCommandOptions) => {
      const { backupNow } = await import('../operate/backup.ts');
      await backupNow(file, options);
    });
  withExamples(withJson(withConfig(backup)), [
    ['backup /backup/dispatch-$(date +%F).gz', 'every night, by cron'],
    ['backup /backup/dispatch-2026-03-01.gz --check', 'check that a backup can be restored, and show its content'],
  ]);
  const restore = program
    .command('restore')
    .description('restore a backup into an empty Redis, while no service is running')
    .argument('<file>', 'file written by "dispatch backup"')
    .option('--replace', 'first remove all data under redis.prefix from Redis')
    .option('-y, --yes', 'do not ask for confirmation')
    .action(async (file: string, options: RestoreCommandOptions) => {
      const { restoreNow } = await import('../operate/backup.ts');
      await restoreNow(file, options);
    });
  withExamples(withJson(withConfig(restore)), [
    ['restore /backup/dispatch-2026-03-01.gz', 'then start the services, a router first'],
    ['restore /backup/dispatch-2026-03-01.gz --replace', 'replace damaged or outdated data'],
  ]);
}
