import { describe, expect, it } from 'vitest';
import { STATUS_TABLE, describeStatus } from './status.ts';

describe('the status table', () => {
  it.each([
    [0x0000, 'store', 'success', 'Success'],
    [0xb000, 'store', 'warning', 'Coercion of data elements'],
    [0xb006, 'store', 'warning', 'Elements discarded'],
    [0xb007, 'store', 'warning', 'Data set does not match SOP class'],
    [0x0111, 'store', 'failure', 'Duplicate SOP instance'],
    [0xa700, 'store', 'failure', 'Refused: out of resources'],
    [0xa7ff, 'store', 'failure', 'Refused: out of resources'],
    [0xa900, 'store', 'failure', 'Data set does not match SOP class'],
    [0xc123, 'store', 'failure', 'Cannot understand'],
    [0x0110, 'store', 'failure', 'Processing failure'],
    [0x0122, 'store', 'failure', 'SOP class not supported'],
    [0x0124, 'store', 'failure', 'Not authorized'],
    [0x0213, 'store', 'failure', 'Resource limitation'],
    [0xff00, 'find', 'pending', 'Pending'],
    [0xff01, 'find', 'pending', 'Pending, optional keys were not supported'],
    [0xfe00, 'find', 'cancel', 'Matching or sub-operations terminated by a cancel request'],
    [0xa900, 'find', 'failure', 'Identifier does not match SOP class'],
    [0xc001, 'find', 'failure', 'Unable to process'],
    [0xb000, 'move', 'warning', 'Sub-operations complete, one or more failures or warnings'],
    [0xa701, 'get', 'failure', 'Refused: out of resources, unable to calculate the number of matches'],
    [0xa702, 'move', 'failure', 'Refused: out of resources, unable to perform sub-operations'],
    [0xa801, 'move', 'failure', 'Refused: move destination unknown'],
    [0x0131, 'action', 'failure', 'Duplicate transaction UID'],
    [0xb123, 'echo', 'warning', 'Warning'],
    [0x0001, 'store', 'warning', 'Requested optional attributes are not supported'],
    [0x9999, 'store', 'failure', 'Unknown status'],
  ] as const)('%i of %s is a %s', (status, service, statusClass, text) => {
    expect(describeStatus(status, service)).toEqual({ status, class: statusClass, text });
  });

  it('holds ranges that begin before they end', () => {
    for (const { from, to } of STATUS_TABLE) expect(from).toBeLessThanOrEqual(to);
  });
});
