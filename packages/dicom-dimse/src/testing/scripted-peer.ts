import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import {
  COMMAND_ELEMENT,
  COMMAND_FIELD,
  NO_DATA_SET,
  decodeCommandSet,
  encodeCommandSet,
} from '../dimse/command-set.ts';
import type { CommandSet } from '../dimse/command-set.ts';
import { encodePdu } from '../pdu/encode-pdu.ts';
import { decodePdu } from '../pdu/decode-pdu.ts';
import type { AssociateRqPdu, Pdu } from '../pdu/pdu.ts';
import { UID } from '../uids.ts';

/** One connection of a peer that does what a test defines, byte by byte: no server can be made to misbehave this exactly. */
export class PeerConnection {
  readonly socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #hasEnded = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    socket.on('close', () => {
      this.#hasEnded = true;
      this.#wake();
    });
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#wake();
    });
  }

  /** Received bytes from which no PDU was read. */
  get buffered(): Buffer {
    return this.#bytes;
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.#hasEnded) throw new Error('the connection ended');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async untilEnded(): Promise<void> {
    while (!this.#hasEnded) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async nextPdu(): Promise<Pdu> {
    await this.until(() => this.#bytes.length >= 6 && this.#bytes.length >= 6 + this.#bytes.readUInt32BE(2));
    const length = this.#bytes.readUInt32BE(2);
    const pdu = decodePdu(this.#bytes.readUInt8(0), Buffer.from(this.#bytes.subarray(6, 6 + length)));
    this.#bytes = this.#bytes.subarray(6 + length);
    return pdu;
  }

  /** Reads one complete message. */
  async nextMessage(): Promise<{ contextId: number; command: CommandSet; dataSet: Buffer; fragments: number[] }> {
    const commands: Uint8Array[] = [];
    const dataSets: Uint8Array[] = [];
    const fragments: number[] = [];
    let command: CommandSet | undefined;
    for (;;) {
      const pdu = await this.nextPdu();
      if (pdu.type !== 'p-data-tf') throw new Error(`${pdu.type} came where P-DATA-TF was awaited`);
      for (const value of pdu.values) {
        (value.isCommand ? commands : dataSets).push(value.data);
        if (!value.isCommand) fragments.push(value.data.length);
        if (!value.isLast) continue;
        if (value.isCommand) command = decodeCommandSet(Buffer.concat(commands));
        if (command !== undefined && (!value.isCommand || !command.hasDataSet)) {
          return { contextId: value.contextId, command, dataSet: Buffer.concat(dataSets), fragments };
        }
      }
    }
  }

  /** Reads the command of a message, and nothing of its data set. It must arrive in one fragment. */
  async nextCommand(): Promise<{ contextId: number; command: CommandSet }> {
    const pdu = await this.nextPdu();
    const [value] = pdu.type === 'p-data-tf' ? pdu.values : [];
    if (value?.isCommand !== true) throw new Error(`${pdu.type} came where a command was awaited`);
    return { contextId: value.contextId, command: decodeCommandSet(Buffer.from(value.data)) };
  }

  send(pdu: Pdu): void {
    this.socket.write(encodePdu(pdu));
  }

  /** Accepts all that is proposed, with its first transfer syntax. */
  async accept(maximumLengthBytes = 16_384): Promise<AssociateRqPdu> {
    const request = await this.nextPdu();
    if (request.type !== 'associate-rq') throw new Error(`${request.type} came first`);
    this.send({
      type: 'associate-ac',
      protocolVersion: 1,
      calledAeTitle: request.calledAeTitle,
      callingAeTitle: request.callingAeTitle,
      applicationContextName: UID.applicationContext,
      presentationContexts: request.presentationContexts.map(({ id, transferSyntaxes }) => ({
        id,
        result: 0,
        transferSyntax: transferSyntaxes[0] ?? '',
      })),
      userItems: [
        { type: 'maximum-length', maximumLengthBytes },
        { type: 'implementation-class-uid', uid: '2.25.9' },
      ],
      unknownItems: [],
    });
    return request;
  }
}

/** The bytes of a response without a data set, as one P-DATA-TF. */
export function responseTo(contextId: number, command: CommandSet, status: number): Buffer {
  const data = encodeCommandSet([
    [COMMAND_ELEMENT.affectedSopClassUid, command.text(COMMAND_ELEMENT.affectedSopClassUid)],
    [COMMAND_ELEMENT.commandField, command.commandField | 0x8000],
    [COMMAND_ELEMENT.messageIdBeingRespondedTo, command.require(COMMAND_ELEMENT.messageId)],
    [COMMAND_ELEMENT.commandDataSetType, NO_DATA_SET],
    [COMMAND_ELEMENT.status, status],
    [COMMAND_ELEMENT.affectedSopInstanceUid, command.text(COMMAND_ELEMENT.affectedSopInstanceUid)],
  ]);
  return encodePdu({ type: 'p-data-tf', values: [{ contextId, isCommand: true, isLast: true, data }] });
}

export { COMMAND_ELEMENT, COMMAND_FIELD };

export interface ScriptedPeer extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The results of the scripts of all connections; rejects if one threw an error. */
  finished(): Promise<void>;
}

/** Listens on a free port and runs the script for each connection. */
export async function startScriptedPeer(
  script: (connection: PeerConnection, index: number) => Promise<void>,
  tls?: { readonly key: string; readonly cert: string },
): Promise<ScriptedPeer> {
  const runs: Promise<void>[] = [];
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket): void => {
    sockets.add(socket);
    socket.setNoDelay(true);
    const run = script(new PeerConnection(socket), runs.length);
    run.catch(() => {});
    runs.push(run);
  };
  const server: Server = tls === undefined ? createServer(onSocket) : createTlsServer(tls, onSocket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    async finished() {
      await Promise.all(runs);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
