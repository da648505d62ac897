import type { Command } from 'commander';
import type { VerifyAuditOptions } from '../operate/verify-audit.ts';
import { withConfig, withExamples, withJson } from './options.ts';

/** `audit verify`. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('check the audit log of the console');
  const verify = audit
    .command('verify')
    .description('check that no entry was changed or removed: each holds a hash over the one before it')
    .option('--file <file>', 'an export as JSON lines, instead of what Redis holds')
    .option('--head <hash>', 'hash that has to be in it: the newest one of an earlier check')
    .action(async (options: VerifyAuditOptions) => {
      const { verifyAuditLog } = await import('../operate/verify-audit.ts');
      await verifyAuditLog(options);
    });
  withExamples(withJson(withConfig(verify)), [
    ['audit verify', 'exits with 3 when the chain does not hold'],
    ['audit verify --head 4f1c…', 'also whether the end of the log was cut off since'],
  ]);
}
