import { describe, expect, it } from 'vitest';
import { STATE_TABLE } from './state-table.ts';
import type { Event, State } from './state-table.ts';

const CONNECTED = [
  'Sta2',
  'Sta3',
  'Sta5',
  'Sta6',
  'Sta7',
  'Sta8',
  'Sta9',
  'Sta10',
  'Sta11',
  'Sta12',
  'Sta13',
] as const satisfies readonly State[];

/** PS3.8 table 9-10, row by row, as one reads it: the columns are Sta1 to Sta13. */
const TABLE = `
associate-request      AE-1   -      -      -      -      -      -      -      -      -      -      -      -
transport-connected    -      -      -      AE-2   -      -      -      -      -      -      -      -      -
associate-ac-received  -      AA-1   AA-8   -      AE-3   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
associate-rj-received  -      AA-1   AA-8   -      AE-4   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
transport-indication   AE-5   -      -      -      -      -      -      -      -      -      -      -      -
associate-rq-received  -      AE-6   AA-8   -      AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-7
associate-accept       -      -      AE-7   -      -      -      -      -      -      -      -      -      -
associate-reject       -      -      AE-8   -      -      -      -      -      -      -      -      -      -
p-data-request         -      -      -      -      -      DT-1   -      AR-7   -      -      -      -      -
p-data-received        -      AA-1   AA-8   -      AA-8   DT-2   AR-6   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
release-request        -      -      -      -      -      AR-1   -      -      -      -      -      -      -
release-rq-received    -      AA-1   AA-8   -      AA-8   AR-2   AR-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-6
release-rp-received    -      AA-1   AA-8   -      AA-8   AA-8   AR-3   AA-8   AA-8   AR-10  AR-3   AA-8   AA-6
release-response       -      -      -      -      -      -      -      AR-4   AR-9   -      -      AR-4   -
abort-request          -      -      AA-1   AA-2   AA-1   AA-1   AA-1   AA-1   AA-1   AA-1   AA-1   AA-1   -
abort-received         -      AA-2   AA-3   -      AA-3   AA-3   AA-3   AA-3   AA-3   AA-3   AA-3   AA-3   AA-2
transport-closed       -      AA-5   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AA-4   AR-5
artim-expired          -      AA-2   -      -      -      -      -      -      -      -      -      -      AA-2
invalid-pdu-received   -      AA-1   AA-8   -      AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-8   AA-7
`;

describe('the state table', () => {
  it('is table 9-10', () => {
    const rows = TABLE.trim()
      .split('\n')
      .map((line) => line.split(/\s+/));
    expect(rows.map(([event]) => event)).toEqual(Object.keys(STATE_TABLE));
    for (const [event, ...actions] of rows) {
      const found = actions.map((_, index) => STATE_TABLE[event as Event][`Sta${index + 1}` as State]?.action ?? '-');
      expect(found, event).toEqual(actions);
    }
  });

  it('has an answer to every PDU and to a lost connection in every connected state', () => {
    for (const event of Object.keys(STATE_TABLE) as Event[]) {
      if (!event.endsWith('-received') && event !== 'transport-closed') continue;
      for (const state of CONNECTED) expect(STATE_TABLE[event][state], `${event} in ${state}`).toBeDefined();
    }
  });
});
