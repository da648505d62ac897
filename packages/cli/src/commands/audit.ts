import { InvalidArgumentError, type Command } from 'commander';
import type { AuditTargetOptions } from '../operate/audit-target.ts';
import type { VerifyAuditOptions } from '../operate/verify-audit.ts';
import { parseTime, withConfig, withExamples, withJson } from './options.ts';

/** `audit` of a target, and `audit-log verify` of the log of operators' actions. */
export function addAuditCommands(program: Command): void {
  const audit = program
    .command('audit')
    .description(
      'compare the content of a target with its confirmations; exit status 3 if instances are missing, different or unknown',
    )
    .argument('<target>', 'its name')
    .option('--since <when>', 'only instances delivered since: an age (2h, 7d) or a date (2026-03-01)', parseTime)
    .option('--study <uid>', 'only this study, by its Study Instance UID')
    .option('--sample <share>', 'only a random sample of the studies, e.g. 5%', parseShare)
    .option(
      '--content',
      'also read the content and compare it with the sent data; retrieves each instance from dicom, dicomweb and xnat targets',
    )
    .option('--show', 'show the findings so far; starts no audit')
    .option('--stop', 'stop the running audit; its findings are kept')
    .option('--send', 'resend instances that were found missing or different')
    .option('-n, --dry-run', 'with --send: show what would be sent, and send nothing')
    .option('-y, --yes', 'do not ask for confirmation')
    .action(async (target: string, options: AuditTargetOptions) => {
      const { auditTarget } = await import('../operate/audit-target.ts');
      await auditTarget(target, options);
    });
  withExamples(withJson(withConfig(audit)), [
    ['audit pacs', 'everything that pacs has confirmed; after Ctrl-C the audit continues in the background'],
    ['audit pacs --since 7d --sample 5%', '5 % of the studies of one week'],
    ['audit archive --content', 'sizes and content'],
    ['audit pacs --content --sample 1%', 'retrieve and compare the instances of 1 % of the studies'],
    ['audit pacs --send --dry-run', 'show what would be resent'],
    ['audit pacs --send', 'resend, after confirmation'],
  ]);

  const log = program.command('audit-log').description('check the audit log of the console');
  const verify = log
    .command('verify')
    .description('check that no entry was changed or removed: each entry contains a hash of the previous entry')
    .option('--file <file>', 'an export as JSON lines, instead of the log in Redis')
    .option('--head <hash>', 'hash that must be in the log: the newest hash of an earlier check')
    .action(async (options: VerifyAuditOptions) => {
      const { verifyAuditLog } = await import('../operate/verify-audit.ts');
      await verifyAuditLog(options);
    });
  withExamples(withJson(withConfig(verify)), [
    ['audit-log verify', 'exit status 3 if the chain is broken'],
    ['audit-log verify --head 4f1c…', 'also check that the end of the log was not removed since'],
  ]);
}

function parseShare(text: string): number {
  const share = /^\d{1,3}(\.\d+)?%$/.test(text) ? Number.parseFloat(text) / 100 : Number.NaN;
  if (share >= 0.001 && share <= 1) return share;
  throw new InvalidArgumentError('a percentage from 0.1% to 100%, e.g. 5%');
}
