import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startHttpServer, startServer, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const config = new URL('../../deploy/logs/rsyslog-elasticsearch.conf', import.meta.url);

it('deploy/logs/rsyslog-elasticsearch.conf ships our lines as they are, and leaves others where they are', async () => {
  await using folder = await tempFolder('logs');
  const [socket, rest] = [join(folder.path, 'socket'), join(folder.path, 'rest')];
  await using elasticsearch = await startHttpServer((_, response) => {
    response.setHeader('content-type', 'application/json');
    response.end('{"took":1,"errors":false,"items":[]}');
  });
  const example = (await readFile(config, 'utf8'))
    .replace('https://elasticsearch.hospital.example', 'http://127.0.0.1')
    .replace('serverport="9200"', `serverport="${elasticsearch.port}"`);
  const file = join(folder.path, 'rsyslog.conf');
  const main = [
    `global(workDirectory="${folder.path}")`,
    'module(load="imuxsock" SysSock.Use="off")',
    `input(type="imuxsock" Socket="${socket}")`,
    example,
    `action(type="omfile" file="${rest}")`,
  ];
  await writeFile(file, main.join('\n'));
  await run('/usr/sbin/rsyslogd', ['-N1', '-f', file]);
  await using _rsyslog = await startServer({
    name: 'rsyslogd',
    portCount: 0,
    prepare: () => ({ command: '/usr/sbin/rsyslogd', args: ['-n', '-f', file, '-i', join(folder.path, 'pid')] }),
    isReady: () => run('logger', ['--socket-errors=on', '-u', socket, '-t', 'somebody', 'hello']).then(() => true),
  });
  const line = {
    level: 'info',
    time: '2026-11-30T01:02:03.004Z',
    service: 'router',
    pid: 7,
    msg: 'a "study" ü\\',
    ms: 12,
  };
  await run('logger', ['--socket-errors=on', '-u', socket, '-t', 'dicom-dispatch', JSON.stringify(line)]);
  await run('logger', ['--socket-errors=on', '-u', socket, '-t', 'dicom-dispatch', 'node: out of memory']);
  const bulk = await waitFor(() => elasticsearch.requests.find(({ path }) => path === '/_bulk'));
  const [action, sent] = bulk.body.toString().trim().split('\n');
  expect(JSON.parse(action ?? '')).toMatchObject({
    index: { _index: expect.stringMatching(/^dicom-dispatch-\d{4}\./) },
  });
  expect(JSON.parse(sent ?? '')).toEqual({ ...line, host: expect.any(String) });
  const kept = await waitFor(async () => {
    const text = await readFile(rest, 'utf8').catch(() => '');
    return text.includes('out of memory') && text;
  });
  expect(kept).not.toContain('a \\"study\\"');
});
