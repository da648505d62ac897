import { performance } from 'node:perf_hooks';
import { connect, createServer, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { unwatch, watch } from './watchdog.ts';

export interface CountingDimseProxy extends AsyncDisposable {
  readonly port: number;
  /** Association requests and DIMSE requests of clients, with their times by `performance.now()`. */
  readonly requests: readonly { readonly at: number }[];
  reset(): void;
}

const associateRequest = 0x01;
const dataTransfer = 0x04;
const cancel = 0x0fff;
/** (0000,0100) Command Field, Implicit VR Little Endian, two bytes. */
const commandField = Buffer.from([0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00]);

/** A TCP proxy in front of one DICOM server that records the requests (PS3.8 section 9.3). */
export async function startCountingDimseProxy(host: string, port: number): Promise<CountingDimseProxy> {
  let requests: { at: number }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming) => {
    const passedOn = connect({ host, port, noDelay: true });
    incoming.setNoDelay(true);
    const read = pduReader(() => requests.push({ at: performance.now() }));
    for (const [from, to] of [
      [incoming, passedOn],
      [passedOn, incoming],
    ] as const) {
      sockets.add(from);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on('error', () => to.destroy());
      from.pipe(to);
    }
    incoming.on('data', read);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as AddressInfo;
  watch('listener', own, 'counting DIMSE proxy');
  return {
    port: own,
    get requests() {
      return requests;
    },
    reset() {
      requests = [];
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
      unwatch('listener', own);
    },
  };
}

/** Calls back for each association request and each DIMSE request in a stream of PDUs. */
function pduReader(onRequest: () => void): (chunk: Buffer) => void {
  let held = Buffer.alloc(0);
  return (chunk) => {
    held = Buffer.concat([held, chunk]);
    // Byte 1: type, bytes 3 to 6: length (PS3.8 section 9.3.1).
    while (held.length >= 6 && held.length >= 6 + held.readUInt32BE(2)) {
      const end = 6 + held.readUInt32BE(2);
      const pdu = held.subarray(0, end);
      held = held.subarray(end);
      if (pdu[0] === associateRequest) onRequest();
      if (pdu[0] === dataTransfer) for (const command of commandsIn(pdu)) if (isRequest(command)) onRequest();
    }
  };
}

/** PDVs of a P-DATA-TF that contain a command: length, context id, message control header (PS3.8 section 9.3.5). */
function* commandsIn(pdu: Buffer): Generator<Buffer> {
  for (let at = 6; at + 6 <= pdu.length;) {
    const end = at + 4 + pdu.readUInt32BE(at);
    if ((pdu[at + 5]! & 0x01) === 1) yield pdu.subarray(at + 6, end);
    at = end;
  }
}

function isRequest(command: Buffer): boolean {
  const at = command.indexOf(commandField);
  if (at < 0) return false;
  const field = command.readUInt16LE(at + commandField.length);
  return field < 0x8000 && field !== cancel;
}
