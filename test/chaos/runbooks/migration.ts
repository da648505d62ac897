import { readdir } from 'node:fs/promises';
import { check, startDepartment, untilAt } from './scene.ts';

export const title = 'An archive of 1,000,000 studies is migrated';

/** Old studies of one year. */
const many = 240;

export async function walk(): Promise<string[]> {
  await using department = await startDepartment(title);
  const { book, dispatch, archive } = department;
  const inArchive = async (): Promise<string[]> =>
    (await readdir(archive.path, { recursive: true })).flatMap((path) => /([\d.]+)\.dcm$/.exec(path)?.[1] ?? []);
  const dates = (number: number) => ({
    StudyID: 'OLD',
    StudyDate: `2025${String(1 + (number % 12)).padStart(2, '0')}15`,
  });
  const old: string[] = [];
  for (let number = 0; number < many; number += 1) old.push(await department.upload(`${number}`, dates(number)));
  const one = await department.upload('4711', dates(0));

  await book.type('dispatch target test archive');
  await book.type('dispatch route 4711 --to archive');
  await untilAt([one], inArchive, 'archive');
  await department.edit(({ rules }) => rules[0]?.targets.push('archive'));
  await book.type('dispatch config check', { config: dispatch.configFile });
  await book.type('dispatch reload');
  const dates2025 = '--source main --from 2025-01-01 --until 2025-12-31 --to archive';
  await book.type(`dispatch batch start ${dates2025} --dry-run`, { prints: new RegExp(`${many + 1}`) });
  const started = await book.type(`dispatch batch start ${dates2025} --rate 60`);
  const id = /^(\S+) has started/m.exec(started.out)?.[1] ?? '';
  check(id !== '', `the batch has an id: ${started.out}`);
  // The runbook runs it until Ctrl-C; here one check is enough.
  book.see('dispatch batch list --watch');
  await book.type('dispatch targets', { prints: /archive/ });

  // Today's study has priority.
  const today = await department.upload('today');
  await untilAt([today], inArchive, 'archive');
  const soFar = (await inArchive()).length;
  check(soFar < many, `today’s study came before the end of the batch: ${soFar} of ${many + 2} are there`);

  const instead = { ID: id };
  await book.type('dispatch batch rate ID 10', { instead });
  await book.type('dispatch batch pause ID', { instead });
  await book.type('dispatch target pause archive');
  await dispatch.restart();
  await book.type('dispatch batch resume ID', { instead });
  await book.type('dispatch target resume archive');
  await book.type('dispatch batch rate ID none', { instead });
  await untilAt([...old, one, today], inArchive, 'archive');
  const files = await inArchive();
  check(files.length === new Set(files).size, 'nothing is there twice');

  await book.type('dispatch deliveries --target archive --state failed');
  await book.type('dispatch retry --target archive --state failed');
  await book.type('dispatch audit archive --sample 1%', { codes: [0, 3] });
  return book.untried();
}
