import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { startHttpServer, type HttpStandIn, type RecordedRequest } from '@dicom-dispatch/harness';
import { TestDelivery, type Attempt } from '@dicom-dispatch/target-kit/testing';
import { type FixtureStudy } from '../contract-suite/index.ts';
import { dicomwebHandler } from './handler.ts';
import { dicomwebTarget, type DicomwebTarget } from './schema.ts';

/**
 * A request to a scripted server, which sends responses that the real server (Orthanc, in dicomweb.test.ts) never sends. The scripted
 * server parses each request like a DICOMweb service and checks its form.
 */
export interface Stow {
  readonly uids: readonly string[];
  readonly request: RecordedRequest;
  /** From 1. */
  readonly count: number;
}
export type Answering = (stow: Stow, response: ServerResponse) => void;
/** Results of searches: SOP Instance UIDs of any study, in pages of this size. */
export type Listed =
  | { readonly uids: readonly string[]; readonly page?: number; readonly studyInstanceUid?: string }
  | 'no search';

export interface StowService extends AsyncDisposable {
  readonly stows: readonly Stow[];
  readonly server: HttpStandIn;
  readonly config: object;
}

/** A service with predefined responses and search results. */
export async function startStowService(answering: Answering, listed: Listed = { uids: [] }): Promise<StowService> {
  const stows: Stow[] = [];
  const server = await startHttpServer((request, response) => {
    if (request.method === 'GET') return search(request, response, listed);
    const stow = { uids: uidsIn(request), request, count: stows.length + 1 };
    stows.push(stow);
    answering(stow, response);
  });
  return {
    stows,
    server,
    config: { type: 'dicomweb', url: `${server.url}/rs`, verifyTimeout: '1s' },
    [Symbol.asyncDispose]: () => server.stop(),
  };
}

export interface Delivered {
  readonly attempt: Attempt;
  readonly delivery: TestDelivery<DicomwebTarget>;
  /** Content of the ledger for each instance. */
  readonly kinds: readonly string[];
}

/** One attempt. */
export async function deliver(
  study: FixtureStudy,
  config: object,
  delivery = new TestDelivery(dicomwebHandler, study),
): Promise<Delivered> {
  const attempt = await delivery.attempt(dicomwebTarget.parse(config));
  const kinds = study.instances.map(({ manifest }) => delivery.ledger.get(manifest.sopInstanceUid)?.kind ?? 'pending');
  return { attempt, delivery, kinds };
}

export function allStored({ uids }: Stow, response: ServerResponse): void {
  answer(response, 200, { stored: uids });
}

export interface Outcomes {
  readonly stored?: readonly string[];
  readonly warnings?: Readonly<Record<string, number>>;
  readonly failed?: Readonly<Record<string, number>>;
}

export function answer(response: ServerResponse, status: number, outcomes: Outcomes): void {
  json(response, status, datasetOf(outcomes));
}

export function json(response: ServerResponse, status: number, body: object, type = 'application/dicom+json'): void {
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(body));
}

export function sequence(items: readonly object[]) {
  return { vr: 'SQ', Value: items };
}

function datasetOf({ stored = [], warnings = {}, failed = {} }: Outcomes) {
  const item = (uid: string, tag: string, value: number | undefined) => ({
    '00081155': { vr: 'UI', Value: [uid] },
    ...(value !== undefined && { [tag]: { vr: 'US', Value: [value] } }),
  });
  return {
    '00081198': sequence(Object.entries(failed).map(([uid, reason]) => item(uid, '00081197', reason))),
    '00081199': sequence([
      ...stored.map((uid) => item(uid, '00081196', undefined)),
      ...Object.entries(warnings).map(([uid, reason]) => item(uid, '00081196', reason)),
    ]),
  };
}

export function xml(response: ServerResponse, status: number, outcomes: Outcomes): void {
  const items = (list: readonly (readonly [string, number | undefined])[], tag: string) =>
    list
      .map(
        ([uid, value], index) =>
          `<Item number="${index + 1}"><DicomAttribute tag="00081155" vr="UI"><Value number="1">${uid}</Value></DicomAttribute>` +
          `${value === undefined ? '' : `<DicomAttribute tag="${tag}" vr="US"><Value number="1">${value}</Value></DicomAttribute>`}</Item>`,
      )
      .join('');
  response.writeHead(status, { 'content-type': 'application/dicom+xml' }).end(
    `<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">` +
      `<DicomAttribute tag="00081198" vr="SQ">${items(Object.entries(outcomes.failed ?? {}), '00081197')}</DicomAttribute>` +
      `<DicomAttribute tag="00081199" vr="SQ">${items(
        (outcomes.stored ?? []).map((uid) => [uid, undefined]),
        '',
      )}</DicomAttribute>` +
      `</NativeDicomModel>`,
  );
}

export function search({ query, path }: RecordedRequest, response: ServerResponse, listed: Listed): void {
  if (listed === 'no search') return void response.writeHead(404).end();
  if (!path.endsWith('/instances')) return void response.writeHead(204).end();
  const { uids, page = 100, studyInstanceUid } = listed;
  const ofStudy = studyInstanceUid === undefined ? {} : { '0020000D': { vr: 'UI', Value: [studyInstanceUid] } };
  // A page of 1000 simulates a service without offset.
  const offset = page === 1000 ? 0 : Number(query.get('offset') ?? 0);
  const found = uids.slice(offset, offset + page);
  json(
    response,
    200,
    found.map((uid) => ({ '00080018': { vr: 'UI', Value: [uid] }, ...ofStudy })),
  );
}

export function uidsIn(request: RecordedRequest): string[] {
  assert.equal(request.path, '/rs/studies');
  return uidsInBody(request.body, request.headers['content-type']);
}

/** Reads a body of STOW-RS strictly, by the boundary of its header; the SOP Instance UID is element (0002,0003) of each part. */
export function uidsInBody(body: Buffer, contentType = ''): string[] {
  const text = body.toString('latin1');
  const boundary = /^multipart\/related; type="application\/dicom"; boundary=([\w-]{1,70})$/.exec(contentType)?.[1];
  assert.ok(boundary, contentType);
  const end = `--${boundary}--\r\n`;
  assert.ok(text.endsWith(`\r\n${end}`) || text === end, 'the body has no end');
  const parts = text.slice(0, -end.length).split(`--${boundary}\r\n`).slice(1);
  return parts.map((part) => {
    assert.ok(
      part.startsWith('Content-Type: application/dicom\r\n\r\n') && part.endsWith('\r\n'),
      'a part of another form',
    );
    assert.equal(part.slice(35 + 128, 35 + 132), 'DICM');
    const at = part.indexOf('\x02\x00\x03\x00UI');
    const length = part.charCodeAt(at + 6) + part.charCodeAt(at + 7) * 256;
    return part.slice(at + 8, at + 8 + length).replace(/\0$/, '');
  });
}
