import { describe, expect, it } from 'vitest';
import type { ConnectOptions } from '../association/connect.ts';
import { connect } from '../association/connect.ts';
import type { Association } from '../association/association.ts';
import type { ObserverEvent } from '../observer.ts';
import { collect, listen, openPair } from '../testing/open-pair.ts';
import type { Pair } from '../testing/open-pair.ts';
import { AE_TITLES, CT_CONTEXT, CT_IMAGE, opaqueFile } from '../testing/part10-fixture.ts';
import { TRANSFER_SYNTAX, UID } from '../uids.ts';
import type { IncomingHandlers, IncomingNRequest } from './incoming.ts';
import type { IncomingMove } from './incoming-query.ts';
import type { RetrieveProgress } from './retrieve.ts';
import { encodeFailedList } from './uid-list.ts';

const EXPLICIT = TRANSFER_SYNTAX.explicitVrLittleEndian;
const context = (abstractSyntax: string) => ({ abstractSyntax, transferSyntaxes: [EXPLICIT] });
const SERVICES = [UID.studyRootFind, UID.studyRootGet, UID.studyRootMove, UID.storageCommitmentPushModel].map(context);
const identifier = Buffer.from('0800520002000000', 'hex');
const bothRoles = { scu: true, scp: true };
const action = { sopClassUid: UID.storageCommitmentPushModel, sopInstanceUid: '1.2.3', actionTypeId: 7 };

/** A server with these handlers, and an association with all its services. */
function openServices(
  handlers: IncomingHandlers,
  options: Partial<ConnectOptions> = {},
  onAssociation?: (association: Association) => void,
): Promise<Pair> {
  return openPair(
    { presentationContexts: [{ ...CT_CONTEXT, requestorRoles: bothRoles }, ...SERVICES], handlers, onAssociation },
    {
      presentationContexts: [CT_CONTEXT, ...SERVICES, context(UID.verification)],
      roles: [{ sopClassUid: CT_IMAGE, ...bothRoles }],
      ...options,
    },
  );
}

async function found(association: Association): Promise<{ matches: string[]; status: number }> {
  const search = association.find({ sopClassUid: UID.studyRootFind, identifier });
  const matches: string[] = [];
  for (;;) {
    const step = await search.next();
    if (step.done === true) return { matches, status: step.value.status };
    matches.push(step.value.bytes.toString());
  }
}

/** One request of each kind, with the status of its last response. */
const requests: readonly (readonly [string, (association: Association) => Promise<{ readonly status: number }>])[] = [
  ['C-ECHO', (association) => association.echo()],
  ['C-STORE', (association) => association.store([opaqueFile(100).file])],
  ['C-FIND', found],
  ['C-GET', (association) => association.get({ sopClassUid: UID.studyRootGet, identifier })],
  [
    'C-MOVE',
    (association) => association.move({ sopClassUid: UID.studyRootMove, identifier, destinationAeTitle: 'X' }),
  ],
  ['N-ACTION', (association) => association.action(action)],
  ['N-ACTION with a data set', (association) => association.action({ ...action, dataSet: identifier })],
];

async function statuses(association: Association): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const [name, request] of requests) all[name] = (await request(association)).status.toString(16).padStart(4, '0');
  return all;
}

describe('a request of the peer', () => {
  it('without a handler is refused, except C-ECHO, and the association stays open', async () => {
    await using pair = await openServices({});
    expect(await statuses(pair.association)).toEqual({
      'C-ECHO': '0000',
      'C-STORE': '0122',
      'C-FIND': '0211',
      'C-GET': '0211',
      'C-MOVE': '0211',
      'N-ACTION': '0211',
      'N-ACTION with a data set': '0211',
    });
    expect(pair.association.hasEnded).toBe(false);
  });

  it('whose handler throws has failed, the error is reported, and the association stays open', async () => {
    const errors: unknown[] = [];
    const error = new Error('broken');
    const fail = (): never => {
      throw error;
    };
    await using pair = await openServices({
      echo: fail,
      store: fail,
      find: fail,
      get: fail,
      move: fail,
      action: fail,
      onHandlerError: (one) => void errors.push(one),
    });
    expect(await statuses(pair.association)).toEqual({
      'C-ECHO': '0110',
      'C-STORE': '0110',
      'C-FIND': 'c000',
      'C-GET': 'c000',
      'C-MOVE': 'c000',
      'N-ACTION': '0110',
      'N-ACTION with a data set': '0110',
    });
    expect(errors).toEqual(requests.map(() => error));
    expect(pair.association.hasEnded).toBe(false);
  });

  it('is answered with the status of its handler', async () => {
    let echoed: Association | undefined;
    await using pair = await openServices({
      echo(association) {
        echoed = association;
        return 0x0122;
      },
      store: () => ({ status: 0xa700, errorComment: 'x'.repeat(70) }),
    });
    expect(await pair.association.echo()).toMatchObject({ status: 0x0122, class: 'failure' });
    expect(echoed?.peer.aeTitle).toBe(AE_TITLES.callingAeTitle);
    // Error Comment is an LO: at most 64 characters.
    expect(await pair.association.store([opaqueFile(100).file])).toMatchObject({
      status: 0xa700,
      errorComment: 'x'.repeat(64),
    });
  });

  it('to store has the instance, its syntaxes and its data set, also as a file', async () => {
    const seen: unknown[] = [];
    await using pair = await openServices({
      async store({ sopClassUid, sopInstanceUid, transferSyntaxUid, moveOriginatorAeTitle, signal, part10 }) {
        const file = await collect(part10());
        seen.push({ sopClassUid, sopInstanceUid, transferSyntaxUid, moveOriginatorAeTitle });
        seen.push(signal.aborted, file.subarray(128, 132).toString(), file.subarray(-5000).equals(dataSet));
        return 0;
      },
    });
    const { file, dataSet } = opaqueFile(5000, '2.25.77');
    await pair.association.store([file]);
    expect(seen).toEqual([
      {
        sopClassUid: CT_IMAGE,
        sopInstanceUid: '2.25.77',
        transferSyntaxUid: EXPLICIT,
        moveOriginatorAeTitle: undefined,
      },
      false,
      'DICM',
      true,
    ]);
  });

  it('to store from a peer that is no SCU of the class is refused', async () => {
    await using pair = await openPair(
      {
        presentationContexts: [{ ...CT_CONTEXT, requestorRoles: { scu: false, scp: true } }],
        handlers: { store: () => 0 },
      },
      { roles: [{ sopClassUid: CT_IMAGE, scu: false, scp: true }] },
    );
    await expect(pair.association.store([opaqueFile(100).file])).rejects.toMatchObject({
      code: 'no-presentation-context',
    });
  });

  it.each(['action', 'event report'])(
    'for an %s has all its fields, and may have a data set as its answer',
    async (kind) => {
      const seen: IncomingNRequest[] = [];
      const answer = (request: IncomingNRequest) => {
        seen.push(request);
        return { status: request.dataSet === undefined ? 0x0112 : 0, dataSet: request.dataSet?.bytes };
      };
      const own: Association[] = [];
      await using pair = await openServices({ action: answer }, { handlers: { eventReport: answer } }, (association) =>
        own.push(association),
      );
      const send = (dataSet?: Buffer) => {
        if (kind === 'action') return pair.association.action({ ...action, dataSet });
        const { actionTypeId: eventTypeId, ...rest } = action;
        return own[0]!.eventReport({ ...rest, eventTypeId, dataSet });
      };
      expect(await send(identifier)).toMatchObject({
        status: 0,
        class: 'success',
        dataSet: { transferSyntaxUid: EXPLICIT, bytes: identifier },
      });
      expect(await send()).toMatchObject({ status: 0x0112, class: 'failure', dataSet: undefined });
      const fields = { sopClassUid: UID.storageCommitmentPushModel, sopInstanceUid: '1.2.3', typeId: 7 };
      expect(seen).toMatchObject([
        { ...fields, dataSet: { transferSyntaxUid: EXPLICIT, bytes: identifier } },
        { ...fields, dataSet: undefined },
      ]);
    },
  );
});

describe('a search of the peer', () => {
  it('gets all matches in their order, more than may wait for its reader', async () => {
    const all = Array.from({ length: 700 }, (_, index) => `match ${index}`);
    const queries: unknown[] = [];
    await using pair = await openServices({
      find(query) {
        queries.push(query.sopClassUid, query.identifier, query.signal.aborted);
        return all.map((match) => Buffer.from(match));
      },
    });
    expect(await found(pair.association)).toEqual({ matches: all, status: 0 });
    expect(queries).toEqual([UID.studyRootFind, { transferSyntaxUid: EXPLICIT, bytes: identifier }, false]);
    // A reader that is slower than the peer.
    let count = 0;
    for await (const _match of pair.association.find({ sopClassUid: UID.studyRootFind, identifier })) {
      count += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(count).toBe(700);
  });

  it('ends with FE00H when the peer cancels it, and the handler is informed', async () => {
    const events: ObserverEvent[] = [];
    const aborted = Promise.withResolvers<void>();
    await using pair = await openServices(
      {
        async *find({ signal }) {
          signal.addEventListener('abort', () => aborted.resolve());
          yield Buffer.from('one');
          await aborted.promise;
          yield Buffer.from('two');
        },
      },
      { observer: (event) => void events.push(event) },
    );
    for await (const match of pair.association.find({ sopClassUid: UID.studyRootFind, identifier })) {
      expect(match.bytes.toString()).toBe('one');
      break;
    }
    expect(await pair.association.echo()).toMatchObject({ status: 0 });
    const received = events.flatMap((event) => (event.type === 'message-received' ? [event.status] : []));
    expect(received).toEqual([0xff00, 0xfe00, 0]);
  });
});

describe('a retrieval of the peer', () => {
  const files = [opaqueFile(100, '2.25.1').file, opaqueFile(100, '2.25.2').file];

  it.each<[string, number[], object, string[]]>([
    ['all are stored', [0, 0], { status: 0, completed: 2, failed: 0, warning: 0 }, []],
    ['one has a warning', [0, 0xb000], { status: 0xb000, completed: 1, failed: 0, warning: 1 }, []],
    ['all have a warning', [0xb000, 0xb000], { status: 0xb000, completed: 0, failed: 0, warning: 2 }, []],
    ['one has failed', [0xa700, 0], { status: 0xb000, completed: 1, failed: 1, warning: 0 }, ['2.25.1']],
    ['one has failed, one has a warning', [0xa700, 0xb000], { status: 0xb000, failed: 1, warning: 1 }, ['2.25.1']],
    ['all have failed', [0xa700, 0x0110], { status: 0xa702, completed: 0, failed: 2 }, ['2.25.1', '2.25.2']],
  ])('counts its instances and lists those that failed: %s', async (_name, answers, expected, failed) => {
    const progress: RetrieveProgress[] = [];
    await using pair = await openServices(
      { get: () => ({ count: 2, instances: files.map((file) => [file]) }) },
      { handlers: { store: ({ sopInstanceUid }) => answers[sopInstanceUid === '2.25.1' ? 0 : 1] ?? 0 } },
    );
    const result = await pair.association.get({
      sopClassUid: UID.studyRootGet,
      identifier,
      onProgress: (one) => void progress.push(one),
    });
    // Only a cancelled retrieval has a final number of remaining ones.
    expect(result).toMatchObject({ ...expected, remaining: undefined });
    expect(result.dataSet?.bytes).toEqual(encodeFailedList(failed, EXPLICIT));
    expect(progress.map(({ remaining }) => remaining)).toEqual([1, 0, undefined]);
  });

  it('counts an instance that cannot be read as failed, and reports why', async () => {
    const errors: unknown[] = [];
    await using pair = await openServices(
      {
        get: () => ({ count: 1, instances: [[Buffer.from('no DICOM')], [opaqueFile(100).file]] }),
        onHandlerError: (error) => void errors.push(error),
      },
      { handlers: { store: () => 0 } },
    );
    const progress: RetrieveProgress[] = [];
    const got = await pair.association.get({
      sopClassUid: UID.studyRootGet,
      identifier,
      onProgress: (one) => void progress.push(one),
    });
    expect(got).toMatchObject({ status: 0xb000, completed: 1, failed: 1, dataSet: undefined });
    expect(errors).toMatchObject([{ code: 'source-not-dicom' }]);
    // One more than announced.
    expect(progress.map(({ remaining }) => remaining)).toEqual([0, 0, undefined]);
  });

  it('that is cancelled sends no further instance, and has the number of the remaining ones', async () => {
    const events: ObserverEvent[] = [];
    const cancel = new AbortController();
    const aborted = Promise.withResolvers<void>();
    const stored: string[] = [];
    let last: RetrieveProgress | undefined;
    await using pair = await openServices(
      {
        get: ({ signal }) => ({
          count: 2,
          instances: (async function* () {
            signal.addEventListener('abort', () => aborted.resolve());
            yield [files[0]!];
            await aborted.promise;
            yield [files[1]!];
          })(),
        }),
      },
      {
        handlers: {
          store({ sopInstanceUid }) {
            stored.push(sopInstanceUid);
            return 0;
          },
        },
        observer: (event) => void events.push(event),
      },
    );
    const got = pair.association.get({
      sopClassUid: UID.studyRootGet,
      identifier,
      signal: cancel.signal,
      onProgress(progress) {
        last = progress;
        cancel.abort(new Error('enough'));
      },
    });
    await expect(got).rejects.toMatchObject({ code: 'cancelled', cause: { message: 'enough' } });
    expect(stored).toEqual(['2.25.1']);
    expect(last).toEqual({ remaining: 1, completed: 1, failed: 0, warning: 0 });
    expect(events.at(-1)).toMatchObject({ status: 0xfe00 });
  });

  it('to another destination sends over the association of its handler, with its originator, and releases it', async () => {
    const originators: unknown[] = [];
    const { server, port } = await listen({
      handlers: {
        store({ moveOriginatorAeTitle }) {
          originators.push(moveOriginatorAeTitle);
          return 0;
        },
      },
    });
    const moves: IncomingMove[] = [];
    const destinations: Association[] = [];
    await using pair = await openServices({
      async move(query) {
        moves.push(query);
        if (query.destinationAeTitle === 'NOWHERE') return undefined;
        const destination = await connect({
          host: '127.0.0.1',
          port,
          ...AE_TITLES,
          presentationContexts: [CT_CONTEXT],
        });
        destinations.push(destination);
        return { count: 2, instances: files.map((file) => [file]), destination };
      },
    });
    const move = (destinationAeTitle: string) =>
      pair.association.move({ sopClassUid: UID.studyRootMove, identifier, destinationAeTitle });
    expect(await move('NOWHERE')).toMatchObject({ status: 0xa801, completed: undefined });
    expect(await move('THERE')).toMatchObject({ status: 0, completed: 2 });
    expect(moves.map(({ destinationAeTitle }) => destinationAeTitle)).toEqual(['NOWHERE', 'THERE']);
    expect(originators).toEqual([AE_TITLES.callingAeTitle, AE_TITLES.callingAeTitle]);
    expect(await destinations[0]?.ended).toBeUndefined();
    await expect(move('back\\slash')).rejects.toMatchObject({ code: 'invalid-argument' });
    await server.close();
  });
});

describe('a request of ours', () => {
  it.each(requests.filter(([name]) => name !== 'C-FIND' && name !== 'C-STORE').map(([name]) => name))(
    '%s that is cancelled before it is sent is not sent',
    async (name) => {
      const entered = Promise.withResolvers<void>();
      const leave = Promise.withResolvers<void>();
      const events: ObserverEvent[] = [];
      await using pair = await openServices(
        {
          async store() {
            entered.resolve();
            await leave.promise;
            return 0;
          },
        },
        { observer: (event) => void events.push(event) },
      );
      const { association } = pair;
      const send = (signal: AbortSignal): Promise<unknown> => {
        const retrieve = { identifier, signal };
        if (name === 'C-ECHO') return association.echo({ signal });
        if (name === 'C-GET') return association.get({ sopClassUid: UID.studyRootGet, ...retrieve });
        if (name === 'C-MOVE')
          return association.move({ sopClassUid: UID.studyRootMove, destinationAeTitle: 'X', ...retrieve });
        return association.action({ ...action, signal });
      };
      const stored = association.store([opaqueFile(100).file]);
      await entered.promise;
      const cancel = new AbortController();
      const sent = send(cancel.signal);
      cancel.abort(new Error('enough'));
      await expect(sent).rejects.toMatchObject({ code: 'cancelled', cause: { message: 'enough' } });
      await expect(send(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
      leave.resolve();
      expect(await stored).toMatchObject({ status: 0 });
      await association.release();
      expect(events.filter(({ type }) => type === 'message-sent')).toHaveLength(1);
    },
  );

  it('that is cancelled while its response is awaited leaves the association open', async () => {
    const entered = Promise.withResolvers<void>();
    const leave = Promise.withResolvers<void>();
    await using pair = await openServices({
      async echo() {
        entered.resolve();
        await leave.promise;
        return 0;
      },
    });
    const cancel = new AbortController();
    const echo = pair.association.echo({ signal: cancel.signal });
    await entered.promise;
    cancel.abort();
    await expect(echo).rejects.toMatchObject({ code: 'cancelled' });
    leave.resolve();
    expect(await pair.association.echo()).toMatchObject({ status: 0 });
  });

  it('to search is not sent if it is cancelled before, and ends when it is cancelled', async () => {
    const events: ObserverEvent[] = [];
    await using pair = await openServices(
      {
        async *find({ signal }) {
          yield Buffer.from('one');
          await new Promise((resolve) => signal.addEventListener('abort', resolve));
        },
      },
      { observer: (event) => void events.push(event) },
    );
    const search = (signal: AbortSignal) =>
      pair.association.find({ sopClassUid: UID.studyRootFind, identifier, signal })[Symbol.asyncIterator]();
    await expect(search(AbortSignal.abort()).next()).rejects.toMatchObject({ code: 'cancelled' });
    expect(events.filter(({ type }) => type === 'message-sent')).toHaveLength(0);
    const cancel = new AbortController();
    const running = search(cancel.signal);
    expect((await running.next()).done).toBe(false);
    cancel.abort();
    await expect(running.next()).rejects.toMatchObject({ code: 'cancelled' });
    expect(await pair.association.echo()).toMatchObject({ status: 0 });
  });
});
