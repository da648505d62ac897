import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** How the receiver handles the response to one C-STORE. */
export const storeLies = [
  /** Affected SOP Instance UID of another instance. */
  'other instance',
  /** Message ID Being Responded To of no request. */
  'other message',
  /** Command Field of a C-ECHO-RSP. */
  'other command',
  /** Status Pending, which C-STORE does not have. */
  'pending',
  /** The response is never sent: the connection is closed instead. */
  'closed instead',
  /** A-ABORT instead of the response. */
  'aborted instead',
  /** Sends success before the data set has been read to its end, and discards the rest. */
  'early success',
  /** A failure although it was stored. */
  'refused',
] as const;
export type StoreLie = (typeof storeLies)[number];

export interface LyingScpLink extends AsyncDisposable {
  readonly port: number;
  readonly lies: readonly StoreLie[];
  /**
   * SOP Instance UIDs of instances larger than the buffers of a connection: an early success is distinguishable from a true
   * one only if the sender cannot have handed over the whole data set.
   */
  readonly large: Set<string>;
  /** Decides for each C-STORE. */
  lie(liar: () => StoreLie | undefined): void;
  beHonest(): void;
}

const pDataTf = 4;
const element = { commandField: 0x0100, responseTo: 0x0120, status: 0x0900, instanceUid: 0x1000 } as const;
const storeResponse = 0x8001;

/**
 * A DICOM receiver that lies: a proxy in front of a real receiver. It reads the PDUs (PS3.8 section 9.3) of both directions
 * and changes C-STORE responses (PS3.7 section 9.3.1) in place. The contents of the real receiver are the truth.
 */
export async function startLyingScpLink(options: { readonly port: number }): Promise<LyingScpLink> {
  const lies: StoreLie[] = [];
  const large = new Set<string>();
  const sockets = new Set<Socket>();
  let liar: () => StoreLie | undefined = () => undefined;
  const server = createServer((client) => {
    const receiver = connect({ port: options.port, host: '127.0.0.1' });
    for (const socket of [client, receiver]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        receiver.destroy();
      });
    }
    forward(client, receiver, (pdu) => earlySuccess(pdu, client));
    forward(receiver, client, (pdu) => changedResponse(pdu, client));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    lies,
    large,
    lie: (next) => {
      liar = next;
    },
    beHonest: () => {
      liar = () => undefined;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  /** @returns what is forwarded to the other side; undefined once nothing is */
  function changedResponse(pdu: Buffer, client: Socket): Buffer | undefined {
    const command = commandOf(pdu);
    if (command === undefined || command.readUInt16LE(valueOf(command, element.commandField)) !== storeResponse) {
      return pdu;
    }
    const lie = liar();
    if (lie === undefined || lie === 'early success') return pdu;
    lies.push(lie);
    switch (lie) {
      case 'other instance': {
        const at = valueOf(command, element.instanceUid);
        const end = at + command.readUInt32LE(at - 4) - 1;
        // The last digit but one: the last byte may be padding.
        command.writeUInt8(command.readUInt8(end - 1) === 0x31 ? 0x32 : 0x31, end - 1);
        return pdu;
      }
      case 'other message':
        command.writeUInt16LE(0x7fff, valueOf(command, element.responseTo));
        return pdu;
      case 'other command':
        command.writeUInt16LE(0x8030, valueOf(command, element.commandField));
        return pdu;
      case 'pending':
        command.writeUInt16LE(0xff00, valueOf(command, element.status));
        return pdu;
      case 'refused':
        command.writeUInt16LE(0xa700, valueOf(command, element.status));
        return pdu;
      case 'closed instead':
        client.end();
        return undefined;
      case 'aborted instead':
        client.end(Buffer.from([7, 0, 0, 0, 0, 4, 0, 0, 2, 0]));
        return undefined;
    }
  }

  /** Waits for a request that is long enough to be answered before its end. */
  function earlySuccess(pdu: Buffer, client: Socket): Buffer | undefined {
    const command = commandOf(pdu);
    if (command === undefined || command.readUInt16LE(valueOf(command, element.commandField)) !== 0x0001) return pdu;
    const at = valueOf(command, element.instanceUid);
    const uid = command.toString('latin1', at, at + command.readUInt32LE(at - 4)).replace(/\0$/, '');
    if (!large.has(uid) || liar() === undefined) return pdu;
    lies.push('early success');
    const response = successFor(command, pdu.readUInt8(10));
    // The proxy stops reading and responds at once: with large kernel buffers (tcp_rmem), the whole data set would soon be
    // in them, and a success sent then cannot be distinguished from a true one.
    client.pause();
    client.write(response);
    setTimeout(() => client.destroy(), 200);
    return undefined;
  }
}

function forward(from: Socket, to: Socket, change: (pdu: Buffer) => Buffer | undefined): void {
  let bytes: Buffer = Buffer.alloc(0);
  let isOver = false;
  from.on('data', (chunk: Buffer) => {
    if (isOver) return;
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    while (bytes.length >= 6 && bytes.length >= 6 + bytes.readUInt32BE(2)) {
      const length = 6 + bytes.readUInt32BE(2);
      const pdu = change(Buffer.from(bytes.subarray(0, length)));
      bytes = bytes.subarray(length);
      if (pdu === undefined) {
        isOver = true;
        return;
      }
      if (!to.write(pdu)) {
        from.pause();
        // Not after the last read: a success is early only while the sender cannot hand over the rest.
        to.once('drain', () => !isOver && from.resume());
      }
    }
  });
}

/** The command set in the first presentation data value of a PDU, if it is complete there; a view into `pdu`. */
function commandOf(pdu: Buffer): Buffer | undefined {
  if (pdu.readUInt8(0) !== pDataTf || pdu.length < 12) return undefined;
  const length = pdu.readUInt32BE(6);
  // Message control header: bit 0 command, bit 1 last fragment (PS3.8 annex E.2).
  return pdu.readUInt8(11) === 3 ? pdu.subarray(12, 10 + length) : undefined;
}

/** Offset of the value of an element of group 0000 (Implicit VR Little Endian). */
function valueOf(command: Buffer, wanted: number): number {
  for (let at = 0; at + 8 <= command.length; at += 8 + command.readUInt32LE(at + 4)) {
    if (command.readUInt16LE(at + 2) === wanted) return at + 8;
  }
  throw new Error(`the command has no element (0000,${wanted.toString(16)})`);
}

function successFor(request: Buffer, contextId: number): Buffer {
  const uid = (tag: number): Buffer => {
    const at = valueOf(request, tag);
    return request.subarray(at, at + request.readUInt32LE(at - 4));
  };
  const short = (value: number): Buffer => {
    const bytes = Buffer.alloc(2);
    bytes.writeUInt16LE(value);
    return bytes;
  };
  const elements = Buffer.concat([
    encoded(0x0002, uid(0x0002)),
    encoded(element.commandField, short(storeResponse)),
    encoded(element.responseTo, short(request.readUInt16LE(valueOf(request, 0x0110)))),
    encoded(0x0800, short(0x0101)),
    encoded(element.status, short(0)),
    encoded(element.instanceUid, uid(element.instanceUid)),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(elements.length);
  const command = Buffer.concat([encoded(0, length), elements]);
  const head = Buffer.alloc(12);
  head.writeUInt8(pDataTf, 0);
  head.writeUInt32BE(command.length + 6, 2);
  head.writeUInt32BE(command.length + 2, 6);
  head.writeUInt8(contextId, 10);
  head.writeUInt8(3, 11);
  return Buffer.concat([head, command]);
}

function encoded(tag: number, value: Buffer): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16LE(tag, 2);
  head.writeUInt32LE(value.length, 4);
  return Buffer.concat([head, value]);
}
