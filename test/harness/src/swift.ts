import { mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { httpRequest } from './http-request.ts';
import { startServer } from './start-server.ts';
import type { RunningServer } from './start-server.ts';

export interface SwiftOptions {
  /** Default `test:tester`: account and user, separated by a colon. */
  readonly accessKeyId?: string;
  /** Default `testing`. */
  readonly secretAccessKey?: string;
  /** Default `us-east-1`. */
  readonly region?: string;
}

export interface SwiftServer extends RunningServer {
  /** S3 endpoint, for path-style addresses. */
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** A user who may read everything and write nothing. */
  readonly reader: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Sets the maximum size of a bucket by Swift's API; undefined: unlimited. Takes effect for the next request. */
  setQuota(bucket: string, bytes: number | undefined): Promise<void>;
}

/** A user who may read everything and write nothing. */
const reader = { accessKeyId: 'test:reader', secretAccessKey: 'reading' } as const;

const servers = ['account', 'container', 'object', 'proxy'] as const;

/**
 * OpenStack Swift with its S3 API and all its servers: real checks of signatures, ETags and multipart uploads. Ready in about
 * three seconds. It responds with 501 to a streamed upload with a checksum after the body (the default of newer SDKs) and to
 * `If-None-Match`.
 */
export async function startSwift(options: SwiftOptions = {}): Promise<SwiftServer> {
  const accessKeyId = options.accessKeyId ?? 'test:tester';
  const secretAccessKey = options.secretAccessKey ?? 'testing';
  const region = options.region ?? 'us-east-1';
  const server = await startServer({
    name: 'swift',
    portCount: 5,
    prepare: async (folder, ports) => {
      await mkdir(join(folder, 'devices', 'd1'), { recursive: true });
      await writeFile(
        join(folder, 'swift.conf'),
        '[swift-hash]\nswift_hash_path_suffix = s\nswift_hash_path_prefix = p\n',
      );
      await writeFile(join(folder, 'make-rings.py'), ringScript(folder, ports));
      const credentials = { accessKeyId, secretAccessKey, region };
      for (const [index, name] of servers.entries()) {
        const text =
          name === 'proxy' ? proxyConfig(folder, ports, credentials) : storageConfig(folder, name, ports[index]!);
        await writeFile(join(folder, `${name}.conf`), text);
      }
      await writeFile(join(folder, 'run.sh'), runScript(ports[4]!));
      return { command: 'sh', args: ['run.sh'], cwd: folder };
    },
    isReady: async (ports) => {
      const answer = await httpRequest(`http://127.0.0.1:${ports[3]}/healthcheck`);
      return answer.status === 200 && (await storageAnswers(ports));
    },
  });
  const port = server.ports[3]!;
  const endpoint = `http://127.0.0.1:${port}`;
  async function setQuota(bucket: string, bytes: number | undefined): Promise<void> {
    const login = await httpRequest(`${endpoint}/auth/v1.0`, {
      headers: { 'X-Auth-User': accessKeyId, 'X-Auth-Key': secretAccessKey },
    });
    const header = (name: string): string => String(login.headers[name]);
    const answer = await httpRequest(`${header('x-storage-url')}/${bucket}`, {
      method: 'POST',
      headers: {
        'X-Auth-Token': header('x-auth-token'),
        'X-Container-Meta-Quota-Bytes': bytes === undefined ? '' : String(bytes),
      },
    });
    if (answer.status >= 300) throw new Error(`Swift answered ${answer.status} to a quota for ${bucket}`);
  }
  return { ...server, endpoint, port, region, accessKeyId, secretAccessKey, reader, setQuota };
}

/** Whether the servers behind the proxy respond: the proxy responds earlier. */
async function storageAnswers(ports: readonly number[]): Promise<boolean> {
  for (const port of ports.slice(0, 3)) {
    const answer = await httpRequest(`http://127.0.0.1:${port}/healthcheck`);
    if (answer.status !== 200) return false;
  }
  return true;
}

/** Creates three rings of one device each in one process: the command-line tool would need nine. */
function ringScript(folder: string, ports: readonly number[]): string {
  const rings = servers.slice(0, 3).map((name, index) => `('${name}', ${ports[index]})`);
  return `
from swift.common.ring import RingBuilder
for name, port in [${rings.join(', ')}]:
    builder = RingBuilder(4, 1, 1)
    builder.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'port': port, 'device': 'd1', 'weight': 1.0,
                     'replication_ip': '127.0.0.1', 'replication_port': port, 'meta': ''})
    builder.rebalance()
    builder.get_ring().save('${folder}/%s.ring.gz' % name)
`;
}

function runScript(memcachedPort: number): string {
  return `
set -e
[ -e object.ring.gz ] || /usr/bin/python3 make-rings.py
memcached -l 127.0.0.1 -p ${memcachedPort} -U 0 -m 16 -u root &
for name in ${servers.join(' ')}; do swift-$name-server "$name.conf" -v & done
wait
`;
}

function common(folder: string, port: number): string {
  return `
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
user = ${userInfo().username}
swift_dir = ${folder}
workers = 0
log_address = ${join(folder, 'no-syslog')}
eventlet_debug = false
`;
}

function storageConfig(folder: string, name: string, port: number): string {
  return `${common(folder, port)}
devices = ${join(folder, 'devices')}
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
[pipeline:main]
pipeline = healthcheck ${name}-server
[app:${name}-server]
use = egg:swift#${name}
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:recon]
use = egg:swift#recon
recon_cache_path = ${folder}
`;
}

function proxyConfig(
  folder: string,
  ports: readonly number[],
  credentials: { accessKeyId: string; secretAccessKey: string; region: string },
): string {
  const filters = 'catch_errors gatekeeper healthcheck listing_formats bulk copy slo dlo container_quotas'.split(' ');
  return `${common(folder, ports[3]!)}
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth bulk copy slo dlo versioned_writes symlink container_quotas proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
${[...filters, 'symlink'].map((name) => `[filter:${name}]\nuse = egg:swift#${name}`).join('\n')}
[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_object_versioning = true
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${ports[4]}
[filter:s3api]
use = egg:swift#s3api
location = ${credentials.region}
[filter:tempauth]
use = egg:swift#tempauth
user_${credentials.accessKeyId.replace(':', '_')} = ${credentials.secretAccessKey} .admin
user_${reader.accessKeyId.replace(':', '_')} = ${reader.secretAccessKey} .reseller_reader
`;
}
