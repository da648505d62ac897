import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { verifyAudit, type AuditEntry, type AuditVerdict } from '@dicom-dispatch/console/audit';
import { CommandError, exitCodes } from '../exit.ts';
import { withSystem } from './with-system.ts';

export interface VerifyAuditOptions {
  readonly config: string;
  readonly file?: string;
  readonly head?: string;
  readonly json?: boolean;
}

/** Checks the chain of the audit log in Redis, or of an exported file; exits with 3 if it is invalid. */
export async function verifyAuditLog({ config, file, head, json }: VerifyAuditOptions): Promise<void> {
  const expected = head === undefined ? undefined : { hash: head };
  const verdict =
    file === undefined
      ? await withSystem(config, async ({ audit }) => verifyAudit(audit.all(), expected ?? (await audit.head())))
      : await verifyAudit(entriesOf(file), expected);
  if (json) console.log(JSON.stringify(verdict, null, 2));
  else print(verdict);
  if (verdict.broken.length > 0) throw new CommandError('the audit log was changed', exitCodes.trouble);
}

function print({ entries, unchained, broken, head }: AuditVerdict): void {
  console.log(
    `${entries} entries${unchained > 0 ? `, the first ${unchained} written by a version without hashes` : ''}`,
  );
  for (const { id, at, reason } of broken)
    console.log(`${id} (${at > 0 ? new Date(at).toISOString() : 'end'}): ${reason}`);
  if (broken.length === 0) console.log(`the chain is complete; newest hash ${head ?? 'none'}`);
}

/** The entries of an export as JSON lines. */
async function* entriesOf(file: string): AsyncGenerator<AuditEntry> {
  const input = createReadStream(file);
  const failed = new Promise<never>((_, reject) => {
    input.once('error', (error: NodeJS.ErrnoException) =>
      reject(new CommandError(`${file} cannot be read (${error.code ?? error.message})`, exitCodes.usage)),
    );
  });
  const lines = createInterface({ input })[Symbol.asyncIterator]();
  for (let number = 1; ; number += 1) {
    const { done, value } = await Promise.race([lines.next(), failed]);
    if (done) return;
    if (value.trim() === '') continue;
    const entry = parse(value, file, number);
    // The file of console.audit.file also contains rejections.
    if ((entry as { stream?: string }).stream !== 'refused') yield entry;
  }
}

function parse(line: string, file: string, number: number): AuditEntry {
  try {
    const entry = JSON.parse(line) as AuditEntry & { at: string };
    return { ...entry, at: Date.parse(entry.at) };
  } catch {
    throw new CommandError(`${file}:${number}: not an entry of an audit log exported as JSON lines`, exitCodes.usage);
  }
}
