import { expect, it } from 'vitest';
import type { PriorsOfStudy, StudyDetail } from '../views/schemas.ts';
import { priorsSection } from './priors-section.ts';

function textOf(...priors: readonly object[]): string {
  const all = priors.map((one): PriorsOfStudy => ({
    target: 'reading',
    state: 'done',
    openedAt: 1,
    isLate: false,
    chosen: [],
    left: [],
    leftCount: 0,
    ...one,
  }));
  const section = priorsSection({ source: 'main', priors: all } as unknown as StudyDetail);
  return section.text.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');
}

const chosen = { studyInstanceUid: '1.2.3', from: 'archive', why: 'rule ct: the newest earlier study' };

it('shows which earlier studies are sent along and why, and which are not', () => {
  const text = textOf({
    chosen: [
      {
        ...chosen,
        orthancStudyId: 'o-1',
        state: 'sent',
        deliveryId: 'd-1',
        deliveryState: 'delivered',
        studyDate: '20240301',
        description: 'Chest',
      },
      { ...chosen, state: 'omitted', note: 'it has left the source' },
    ],
    left: [
      {
        studyInstanceUid: '1.2.4',
        from: 'source',
        why: 'it has no Study Date, so its order is unknown',
      },
    ],
    leftCount: 60,
  });
  expect(text).toContain('reading : 2 chosen.');
  expect(text).toMatch(/2024-03-01 · Chest .*archive .*rule ct: the newest earlier study .*delivered/);
  expect(text).toContain('not sent: it has left the source');
  expect(text).toContain('60 not chosen');
  expect(text).toContain('it has no Study Date');
  expect(text).toContain('The first 1 are shown.');
});

it('shows what they wait for, and that the study was sent without them', () => {
  const looking = textOf({ state: 'looking', note: 'connection refused', nextAttemptAt: 5, waitUntil: 9 });
  expect(looking).toContain('still to be chosen: connection refused; the next try is');
  expect(looking).toContain('The study waits for them until');
  expect(textOf({ isLate: true, chosen: [{ ...chosen, state: 'sent' }] })).toContain(
    'The study was sent before all of them had arrived.',
  );
  expect(textOf({ note: 'the study has no Patient ID' })).toContain('none: the study has no Patient ID.');
});

it('shows nothing if no rule requests any', () => {
  expect(textOf()).toBe('');
});
