import { expect, it } from 'vitest';
import { mostUrgent, uniteDeliveries, type PlannedDelivery } from './planned-delivery.ts';

const plain: PlannedDelivery = { to: 'pacs', rules: ['a'], priority: 'normal', hold: false, late: 'difference' };
const plan = (more: Partial<PlannedDelivery> = {}): PlannedDelivery => ({ ...plain, ...more });
const united = (...some: PlannedDelivery[]): PlannedDelivery => {
  const all = uniteDeliveries(some);
  expect(all).toHaveLength(1);
  return all[0]!;
};

it('combines deliveries to one target in one form, and nothing else', () => {
  const all = uniteDeliveries([plan(), plan({ transform: 't' }), plan({ to: 'other' }), plan({ rules: ['b', 'a'] })]);
  expect(all.map(({ to, transform, rules }) => [to, transform, rules])).toEqual([
    ['pacs', undefined, ['a', 'b']],
    ['pacs', 't', ['a']],
    ['other', undefined, ['a']],
  ]);
  expect(uniteDeliveries([plan({ transform: 't' }), plan({ transform: 'u' })])).toHaveLength(2);
  expect(uniteDeliveries([plan(), plan()], () => `${Math.random()}`)).toHaveLength(2);
});

it('uses the highest priority, the earliest start and the largest selection of all rules', () => {
  expect(united(plan({ priority: 'background' }), plan({ priority: 'urgent' })).priority).toBe('urgent');
  expect(united(plan({ late: 'never' }), plan({ late: 'all' })).late).toBe('all');
  expect(united(plan({ late: 'difference' }), plan({ late: 'never' })).late).toBe('difference');
  expect(united(plan({ late: 'never' }), plan({ late: 'never' })).late).toBe('never');
  expect(united(plan({ hold: true }), plan()).hold).toBe(false);
  expect(united(plan({ hold: true }), plan({ hold: true })).hold).toBe(true);
  expect(united(plan({ start: 'stable' }), plan({ start: 'arrival' })).start).toBe('arrival');
  expect(united(plan({ start: 'series' }), plan()).start).toBe('series');
  expect(united(plan(), plan())).not.toHaveProperty('start');
});

it('has a limit only where every rule has one, each limit once', () => {
  const [ct, mr] = [{ only: 'Modality == "CT"' }, { only: 'Modality == "MR"' }];
  expect(united(plan({ selections: [ct] }), plan({ selections: [mr, ct] })).selections).toEqual([ct, mr]);
  expect(united(plan({ selections: [ct] }), plan())).not.toHaveProperty('selections');
  expect(united(plan(), plan({ selections: [ct] }))).not.toHaveProperty('selections');
  const night = { from: '20:00', to: '06:00' } as unknown as NonNullable<PlannedDelivery['schedules']>[number];
  expect(united(plan({ schedules: [night] }), plan({ schedules: [night] })).schedules).toEqual([night]);
  expect(united(plan({ schedules: [night] }), plan())).not.toHaveProperty('schedules');
});

it('includes the priors of every rule, each once', () => {
  const terms = (max: number) => ({ max }) as unknown as NonNullable<PlannedDelivery['priors']>[number];
  expect(united(plan({ priors: [terms(1)] }), plan({ priors: [terms(2), terms(1)] })).priors).toEqual([
    terms(1),
    terms(2),
  ]);
  expect(united(plan(), plan({ priors: [terms(1)] })).priors).toEqual([terms(1)]);
  expect(united(plan(), plan())).not.toHaveProperty('priors');
});

it('stays with a directly named target, and with a group if all rules name the group', () => {
  const group = { name: 'g', strategy: 'round-robin', members: ['pacs'] } as const;
  const other = { ...group, name: 'h' };
  expect(united(plan({ group }), plan())).not.toHaveProperty('group');
  expect(united(plan(), plan({ group }))).not.toHaveProperty('group');
  expect(united(plan({ group }), plan({ group: other })).group).toEqual(group);
});

it('has normal priority by default', () => {
  expect(mostUrgent([])).toBe('normal');
  expect(mostUrgent(['background'])).toBe('background');
  expect(mostUrgent(['normal', 'stat', 'urgent'])).toBe('stat');
});
