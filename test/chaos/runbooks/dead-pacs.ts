import { check, startDepartment, untilAt } from './scene.ts';

export const title = 'A PACS is down';

export async function walk(): Promise<string[]> {
  await using department = await startDepartment(title);
  const { book, pacs, second, dispatch } = department;
  const before = await department.upload('1');
  await department.untilAtPacs(before);

  await pacs.kill('SIGKILL');
  const wanted = await department.upload('4711');
  const others = [await department.upload('4712'), await department.upload('4713')];
  await book.type('dispatch target test pacs', { codes: [1], prints: /refused/i });
  await book.type('dispatch targets', { prints: /pacs/ });
  await book.type('dispatch target pause pacs');
  await book.type('dispatch route 4711 --to second --first');
  await untilAt([wanted], () => [...second.accepted().keys()], 'second');
  await department.edit(({ rules }) => rules[0]?.targets.push('second'));
  await book.type('dispatch reload');
  const later = await department.upload('4714');
  await untilAt([later], () => [...second.accepted().keys()], 'second');

  await pacs.restart();
  await book.type('dispatch target resume pacs');
  await book.type('dispatch target test pacs');
  await book.type('dispatch target rate pacs 60');
  await book.type('dispatch target rate pacs none');
  await department.untilAtPacs(before, wanted, ...others, later);

  // A delivery that failed on its own account: it was rerouted to a PACS that has since rejected our AE title.
  await department.edit(({ targets }) => {
    targets['pacs'] = { ...targets['pacs'], attempts: 1, calledAeTitle: 'SOMEBODY' };
  });
  await book.type('dispatch reload');
  await book.type('dispatch deliveries --target pacs --state failed');
  await book.type('dispatch retry --target pacs --state failed --dry-run');
  await book.type('dispatch retry --target pacs --state failed');
  await department.edit(({ targets }) => {
    targets['pacs'] = { ...targets['pacs'], calledAeTitle: pacs.aet };
  });
  await book.type('dispatch reload');

  // It came back empty.
  for (const id of await pacs.studies()) await pacs.send('DELETE', `/studies/${id}`);
  await book.type('dispatch audit pacs --since 7d', { codes: [3], prints: /missing/ });
  await book.type('dispatch audit pacs --send');
  await department.untilAtPacs(before, wanted, ...others, later);

  await pacs.kill('SIGKILL');
  const last = await department.upload('4715');
  await untilAt([last], () => [...second.accepted().keys()], 'second');
  await department.edit(({ targets, rules }) => {
    delete targets['pacs'];
    rules[0]!.targets = ['second'];
  });
  await book.type('dispatch reload');
  await book.type('dispatch target move pacs --to second', { prints: /second/ });
  const again = second.stores.filter(({ sopInstanceUid }) => sopInstanceUid === last).length;
  check(again === 1, `second got ${last} once, not ${again} times: ${dispatch.output().slice(-500)}`);
  book.see('dispatch target drop pacs');
  return book.untried();
}
