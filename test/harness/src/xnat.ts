import type { ServerResponse } from 'node:http';
import { startHttpServer, type HttpStandIn, type RecordedRequest } from './http-server.ts';
import { readMeta } from './part10-summary.ts';

export interface XnatInstance {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** XNAT renames files. */
  readonly name: string;
  readonly bytes: Buffer;
}

/** A session in the prearchive. */
interface XnatSession {
  readonly label: string;
  /** Study Instance UID of its instances; `tag` in the listing of the prearchive. */
  readonly tag: string;
  readonly instances: Map<string, XnatInstance>;
  /** The instances that it lists: those of its last build or commit. */
  listed?: Map<string, XnatInstance>;
  /** As in the listing of the prearchive: RECEIVING, READY, CONFLICT, ERROR … */
  status: string;
}

/**
 * A simulated XNAT, for tests: no package provides one. It is built from XNAT's REST documentation, strictly checks every
 * request, and responds with 418 to unknown ones.
 */
export interface XnatStandIn {
  /** Its only project, and its only user. */
  readonly project: string;
  readonly username: string;
  readonly password: string;
  readonly server: HttpStandIn;
  /** `subject/session` to instances by SOP Instance UID. */
  readonly archive: Map<string, Map<string, XnatInstance>>;
  /** Path of a session to its content. */
  readonly prearchive: Map<string, XnatSession>;
  readonly logins: Set<string>;
  /** Paths of the requests that committed a session in the prearchive. */
  readonly committed: string[];
  /** Replace the responses to some requests. */
  readonly faults: {
    import?: ((response: ServerResponse, request: RecordedRequest) => boolean) | undefined;
    archive?: number | undefined;
    /** Replaces any response; true if it has responded. */
    any?: ((request: RecordedRequest, response: ServerResponse) => boolean) | undefined;
    /** Leaves the UIDs of scans out, as older versions do. */
    plainScans?: boolean | undefined;
  };
  /** Requests that were answered with 418: unknown or malformed ones. */
  readonly mistakes: string[];
}

const project = 'TRIAL';
const username = 'dispatch';
const password = 'xnat-password';

export async function startXnat(): Promise<XnatStandIn> {
  const xnat: XnatStandIn = {
    project,
    username,
    password,
    server: await startHttpServer((request, response) => answer(xnat, request, response)),
    archive: new Map(),
    prearchive: new Map(),
    logins: new Set(),
    committed: [],
    faults: {},
    mistakes: [],
  };
  return xnat;
}

function answer(xnat: XnatStandIn, request: RecordedRequest, response: ServerResponse): void {
  const route = `${request.method} ${request.path}`;
  if (xnat.faults.any?.(request, response)) return;
  const basic = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  if (route === 'POST /data/JSESSION') {
    if (request.headers.authorization !== basic) return void response.writeHead(401).end();
    const id = `${xnat.logins.size}0123456789ABCDEF`;
    xnat.logins.add(id);
    return void response.end(id);
  }
  const cookie = /JSESSIONID=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? '';
  if (!xnat.logins.has(cookie)) return void response.writeHead(401).end();
  if (route === 'DELETE /data/JSESSION') {
    xnat.logins.delete(cookie);
    return void response.end();
  }
  if (route === 'POST /data/services/import') return takeInstance(xnat, request, response);
  if (route === 'POST /data/services/archive') return archive(xnat, request, response);
  if (request.path.startsWith('/data/prearchive/projects/') && !request.path.includes('/scans')) {
    return prearchive(xnat, request, response);
  }
  if (route === 'GET /data/projects') return void response.end('{"ResultSet":{"Result":[]}}');
  if (request.method === 'GET' && request.path.includes('/scans')) return scans(xnat, request, response);
  const experiment = /^\/data\/projects\/TRIAL\/subjects\/([^/]+)\/experiments\/([^/]+)$/.exec(request.path);
  if (request.method === 'GET' && experiment) {
    const isThere = xnat.archive.has(`${experiment[1]}/${experiment[2]}`);
    return void response.writeHead(isThere ? 200 : 404).end(isThere ? '{"items":[]}' : '');
  }
  if (request.method === 'GET' && request.path.startsWith('/data/projects/')) {
    return void response.writeHead(request.path === `/data/projects/${project}` ? 200 : 404).end('{}');
  }
  unknown(xnat, `${route}?${request.query}`, response);
}

let names = 0;

function takeInstance(xnat: XnatStandIn, request: RecordedRequest, response: ServerResponse): void {
  const { query } = request;
  const label = query.get('EXPT_LABEL') ?? '';
  const subject = query.get('SUBJECT_ID') ?? '';
  const wellFormed =
    query.get('import-handler') === 'gradual-DICOM' &&
    query.get('inbody') === 'true' &&
    [...query.keys()].length === 5 &&
    /^[A-Za-z0-9_-]{1,64}$/.test(label) &&
    /^[A-Za-z0-9_-]{1,64}$/.test(subject) &&
    request.headers['content-length'] === String(request.bodyBytes);
  if (!wellFormed) return unknown(xnat, `import ${query}`, response);
  if (xnat.faults.import?.(response, request)) return;
  const sopInstanceUid = uidOf(request.body);
  if (sopInstanceUid === undefined) return void response.writeHead(400).end('unable to read DICOM object');
  const known = query.get('PROJECT_ID') === project ? project : 'Unassigned';
  const path = `/prearchive/projects/${known}/20240615_120000123/${label}`;
  const wholeLabel = `${subject}/${label}`;
  const tag = uidIn(request.body, studyTag);
  const session: XnatSession = xnat.prearchive.get(path) ?? {
    label: wholeLabel,
    tag,
    instances: new Map(),
    status: '',
  };
  session.status = 'RECEIVING';
  const name = `${(names += 1)}.dcm`;
  const seriesInstanceUid = uidIn(request.body, seriesTag);
  session.instances.set(sopInstanceUid, { sopInstanceUid, seriesInstanceUid, name, bytes: request.body });
  xnat.prearchive.set(path, session);
  response.end(`/data${path}\r\n`);
}

/** Builds or commits a session, or lists it or all of the project. */
function prearchive(xnat: XnatStandIn, request: RecordedRequest, response: ServerResponse): void {
  const path = request.path.slice('/data'.length);
  if (request.method === 'GET') {
    if (request.query.get('format') !== 'json') return unknown(xnat, request.path, response);
    const all = [...xnat.prearchive].filter(([key]) => key === path || key.startsWith(`${path}/`));
    const rows = all.map(([key, { label, tag, status }]) => {
      const [, , , , timestamp, folderName] = key.split('/');
      const [subject, name] = label.split('/');
      return { project, timestamp, subject, folderName, name, tag, status, url: key };
    });
    return void response.end(JSON.stringify({ ResultSet: { Result: rows } }));
  }
  const action = request.query.get('action');
  if (request.method !== 'POST' || (action !== 'build' && action !== 'commit')) {
    return unknown(xnat, `${request.path} ${action}`, response);
  }
  const session = xnat.prearchive.get(path);
  // Like XNAT: the two actions have different errors.
  if (!session) return void response.writeHead(action === 'build' ? 500 : 404).end();
  session.listed = new Map(session.instances);
  session.status = 'READY';
  if (action === 'commit') xnat.committed.push(request.path);
  response.end(`${request.path}\r\n`);
}

function archive(xnat: XnatStandIn, request: RecordedRequest, response: ServerResponse): void {
  const form = new URLSearchParams(request.body.toString());
  const session = xnat.prearchive.get(form.get('src') ?? '');
  const wellFormed =
    request.headers['content-type'] === 'application/x-www-form-urlencoded' &&
    /^(none|append|delete)$/.test(form.get('overwrite') ?? '') &&
    /^(true|false)$/.test(form.get('triggerPipelines') ?? '');
  if (!wellFormed) return unknown(xnat, `archive ${form}`, response);
  if (!session) return void response.writeHead(404).end();
  const [subject, label] = session.label.split('/');
  const dest = `/archive/projects/${project}/subjects/${subject}/experiments/${label}`;
  if (form.get('dest') !== dest) return unknown(xnat, `archive ${form}`, response);
  if (xnat.faults.archive) return void response.writeHead(xnat.faults.archive).end();
  const there = xnat.archive.get(session.label);
  const overwrite = form.get('overwrite');
  if (there && overwrite === 'none') return void response.writeHead(409).end();
  // append: existing content is unchanged.
  xnat.archive.set(session.label, new Map([...session.instances, ...(overwrite === 'append' ? (there ?? []) : [])]));
  xnat.prearchive.delete(form.get('src') ?? '');
  response.end(`/data${dest}`);
}

function scans(xnat: XnatStandIn, request: RecordedRequest, response: ServerResponse): void {
  const match = /^\/data(\/.+)\/scans(?:\/([^/]+)\/resources\/DICOM\/files(?:\/([^/]+))?)?$/.exec(request.path);
  const [, path = '', scan, file] = match ?? [];
  if (!match || (file === undefined && request.query.get('format') !== 'json')) {
    return unknown(xnat, request.path, response);
  }
  const archived = /^\/projects\/TRIAL\/subjects\/([^/]+)\/experiments\/([^/]+)$/.exec(path);
  const instances = archived ? xnat.archive.get(`${archived[1]}/${archived[2]}`) : xnat.prearchive.get(path)?.listed;
  if (!instances) return void response.writeHead(404).end('<html>no such session</html>');
  const series = [...Map.groupBy(instances.values(), ({ seriesInstanceUid }) => seriesInstanceUid)];
  const files = series[Number(scan) - 1]?.[1] ?? [];
  if (file !== undefined) {
    const bytes = files.find(({ name }) => name === file)?.bytes;
    return void response.writeHead(bytes ? 200 : 404).end(bytes);
  }
  const rows =
    scan === undefined
      ? series.map(([uid], index) => ({ ID: `${index + 1}`, ...(!xnat.faults.plainScans && { UID: uid }) }))
      : files.map(({ name, bytes }) => ({ Name: name, Size: bytes.length }));
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ ResultSet: { Result: rows } }));
}

function unknown(xnat: XnatStandIn, what: string, response: ServerResponse): void {
  xnat.mistakes.push(what);
  response.writeHead(418).end();
}

const studyTag = Buffer.from([0x20, 0x00, 0x0d, 0x00, 0x55, 0x49]);
const seriesTag = Buffer.from([0x20, 0x00, 0x0e, 0x00, 0x55, 0x49]);

/**
 * A UID of a file in Explicit VR Little Endian.
 *
 * @param tag - with its VR: (0020,000D) or (0020,000E)
 */
function uidIn(file: Buffer, tag: Buffer): string {
  const at = file.indexOf(tag);
  return file.toString('latin1', at + 8, at + 8 + file.readUInt16LE(at + 6)).replace(/\0$/, '');
}

/** Media Storage SOP Instance UID (0002,0003); undefined if it is not a DICOM file. */
function uidOf(file: Buffer): string | undefined {
  try {
    return readMeta(file, 'the upload').values.get(0x0003);
  } catch {
    return undefined;
  }
}
