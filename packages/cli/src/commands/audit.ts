import { InvalidArgumentError, type Command } from 'commander';
import type { AuditTargetOptions } from '../operate/audit-target.ts';
import type { VerifyAuditOptions } from '../operate/verify-audit.ts';
import { parseTime, withConfig, withExamples, withJson } from './options.ts';

/** `audit`, of a target, and `audit-log verify`, of the log of what operators did. */
export function addAuditCommands(program: Command): void {
  const audit = program
    .command('audit')
    .description(
      'compare what a target has now with what it has confirmed; exits with 3 when something is wrong or not known',
    )
    .argument('<target>', 'its name')
    .option('--since <when>', 'only what was delivered since: an age (2h, 7d) or a date (2026-03-01)', parseTime)
    .option('--study <uid>', 'only this study, by its Study Instance UID')
    .option('--sample <share>', 'only so many of the studies, at random: 5%', parseShare)
    .option('--content', 'also read what is there, and compare it with the digest of what was sent')
    .option('--show', 'what audits have found so far; starts none')
    .option('--stop', 'end the audit that is under way; what it found is kept')
    .option('--send', 'send again what was found missing or different')
    .option('-n, --dry-run', 'with --send: say what it would send, and do nothing')
    .option('-y, --yes', 'do not ask')
    .action(async (target: string, options: AuditTargetOptions) => {
      const { auditTarget } = await import('../operate/audit-target.ts');
      await auditTarget(target, options);
    });
  withExamples(withJson(withConfig(audit)), [
    ['audit pacs', 'all that pacs has confirmed; Ctrl-C lets the audit go on by itself'],
    ['audit pacs --since 7d --sample 5%', 'a twentieth of the studies of a week'],
    ['audit archive --content', 'sizes and contents, too'],
    ['audit pacs --send --dry-run', 'what would be sent again'],
    ['audit pacs --send', 'send it, after a question'],
  ]);

  const log = program.command('audit-log').description('check the audit log of the console');
  const verify = log
    .command('verify')
    .description('check that no entry was changed or removed: each holds a hash over the one before it')
    .option('--file <file>', 'an export as JSON lines, instead of what Redis holds')
    .option('--head <hash>', 'hash that has to be in it: the newest one of an earlier check')
    .action(async (options: VerifyAuditOptions) => {
      const { verifyAuditLog } = await import('../operate/verify-audit.ts');
      await verifyAuditLog(options);
    });
  withExamples(withJson(withConfig(verify)), [
    ['audit-log verify', 'exits with 3 when the chain does not hold'],
    ['audit-log verify --head 4f1c…', 'also whether the end of the log was cut off since'],
  ]);
}

function parseShare(text: string): number {
  const share = /^\d{1,3}(\.\d+)?%$/.test(text) ? Number.parseFloat(text) / 100 : Number.NaN;
  if (share >= 0.001 && share <= 1) return share;
  throw new InvalidArgumentError('a percentage from 0.1% to 100%, e.g. 5%');
}
