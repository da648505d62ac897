import { describe, expect, it } from 'vitest';
import { COMMAND_ELEMENT, COMMAND_FIELD, decodeCommandSet, encodeCommandSet } from './command-set.ts';

describe('command sets', () => {
  it('are written in Implicit VR Little Endian with group length and padding', () => {
    const bytes = encodeCommandSet([
      [COMMAND_ELEMENT.affectedSopClassUid, '1.2.3'],
      [COMMAND_ELEMENT.commandField, COMMAND_FIELD.moveRq],
      [COMMAND_ELEMENT.messageId, 7],
      [COMMAND_ELEMENT.moveDestination, 'ABC'],
      [COMMAND_ELEMENT.priority, undefined],
    ]);
    expect(bytes.toString('hex')).toBe(
      [
        '00000000 04000000 2e000000', // (0000,0000) 46 bytes follow
        '00000200 06000000 312e322e3300', // (0000,0002) "1.2.3" and a NUL
        '00000001 02000000 2100', // (0000,0100) C-MOVE-RQ
        '00001001 02000000 0700', // (0000,0110) 7
        '00000006 04000000 41424320', // (0000,0600) "ABC" and a space
      ]
        .join('')
        .replaceAll(' ', ''),
    );
  });

  it('are read again, unknown elements included', () => {
    const set = decodeCommandSet(
      Buffer.concat([
        encodeCommandSet([
          [COMMAND_ELEMENT.commandField, COMMAND_FIELD.storeRsp],
          [COMMAND_ELEMENT.status, 0xb000],
          [COMMAND_ELEMENT.errorComment, 'odd'],
        ]),
        Buffer.from('0000ffff02000000aabb', 'hex'),
      ]),
    );
    expect(set.commandField).toBe(0x8001);
    expect(set.uint16(COMMAND_ELEMENT.status)).toBe(0xb000);
    expect(set.text(COMMAND_ELEMENT.errorComment)).toBe('odd');
    expect(set.text(COMMAND_ELEMENT.affectedSopClassUid)).toBeUndefined();
    expect(set.elements.get(0xffff)?.toString('hex')).toBe('aabb');
  });

  it.each([
    ['an element longer than the rest', '0000000102000080aabb', /element of 2147483650 bytes; only 2 are left/],
    ['stray bytes', '00000001020000002100ff', /1 excess bytes/],
    ['an element of another group', '0800050002000000aabb', /group 0008/],
    ['no command field', '00000009020000000000', /\(0000,0100\) is missing/],
    ['nothing', '', /\(0000,0100\) is missing/],
  ])('with %s are refused', (_name, hex, message) => {
    expect(() => decodeCommandSet(Buffer.from(hex, 'hex'))).toThrowError(message);
  });
});
