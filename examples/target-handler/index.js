// @ts-check
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream/promises';

/**
 * An example of a target handler that lives outside dicom-dispatch: it sends every instance by HTTP PUT to
 * `<url>/<Study Instance UID>/<SOP Instance UID>.dcm`. It needs nothing but the kit it is given.
 *
 * @param {import('@dicom-dispatch/target-kit').TargetKit} kit
 */
export function createHandler(kit) {
  const { z, DispatchError } = kit;

  const schema = z.strictObject({
    type: z.string(),
    ...kit.targetOptions,
    url: z.url({ protocol: /^https?$/ }).describe('where instances are put'),
    token: kit.secret.optional().describe('bearer token; default none'),
    maxParallel: z.int().min(1).max(16).default(4).describe('requests at the same time; default 4'),
    timeout: kit.durationMs.default(60_000).describe('longest time of a request; default 60s'),
  });
  /** @typedef {import('zod').output<typeof schema>} Options */

  /**
   * One request, whose body is a stream. Not by fetch, which keeps what it has sent: instances may be larger than memory.
   *
   * @param {Options} config @param {string} method @param {string} path @param {AbortSignal} signal
   * @param {AsyncIterable<Uint8Array>} [body] @returns {Promise<number>} the status
   */
  async function ask(config, method, path, signal, body) {
    const url = new URL(`${config.url.replace(/\/$/, '')}/${path}`);
    const timeout = AbortSignal.timeout(config.timeout);
    const request = (url.protocol === 'https:' ? https : http).request(url, {
      method,
      headers: config.token && { authorization: `Bearer ${config.token.reveal()}` },
      signal: AbortSignal.any([signal, timeout]),
    });
    const answered = once(request, 'response');
    const sent = pipeline(body ?? [], request);
    try {
      // An answer may come before all is sent, when it is a refusal.
      const [answer] = await Promise.race([answered, sent.then(() => answered)]);
      answer.resume();
      return answer.statusCode;
    } catch (thrown) {
      if (signal.aborted) throw kit.cancelledError(signal);
      // A connection that was kept had died meanwhile: the next one is new.
      if (request.reusedSocket && body === undefined && isLost(thrown)) return await ask(config, method, path, signal);
      throw translate(timeout.aborted ? timeout.reason : thrown, url.host);
    } finally {
      answered.catch(() => {});
      sent.catch(() => {});
      if (!request.writableFinished) request.destroy();
    }
  }

  /** Foreign errors become codes of dicom-dispatch here, and nowhere else. @param {unknown} thrown @param {string} host */
  function translate(thrown, host) {
    if (thrown instanceof DispatchError) return thrown;
    if (thrown instanceof Error && thrown.name === 'TimeoutError') {
      return new DispatchError('target-timeout', `${host} did not answer in time`, { cause: thrown });
    }
    const { code } = /** @type {{ code?: unknown }} */ (thrown);
    return isLost(thrown)
      ? new DispatchError('target-connection-lost', `${host} closed the connection`, { cause: thrown })
      : new DispatchError('target-unreachable', `${host} cannot be reached (${code ?? 'unknown'})`, {
          cause: thrown,
        });
  }

  /** @param {unknown} thrown */
  function isLost(thrown) {
    const { code } = /** @type {{ code?: unknown }} */ (thrown);
    return code === 'ECONNRESET' || code === 'EPIPE';
  }

  /** @param {number} status */
  function expectOk(status) {
    if (status >= 200 && status < 300) return;
    if (status === 401 || status === 403) {
      throw new DispatchError('target-unauthorized', `the target answered ${status}: the token is not accepted`);
    }
    if (status === 507) throw new DispatchError('target-full', 'the target answered 507: it has no space left');
    if (status === 413) throw new DispatchError('instance-too-large', 'the target answered 413: too large');
    throw new DispatchError('target-error', `the target answered ${status}`);
  }

  return {
    contractVersion: kit.contractVersion,
    type: 'http-put',
    schema,
    about: {
      displayName: 'Web folder',
      purpose: 'Puts each instance by HTTP PUT.',
      icon: 'M12 16V4M8 8l4-4 4 4M4 20h16',
      groups: { basic: ['url'], security: ['token'], speed: ['maxParallel'] },
      example: { url: 'https://files.example/incoming' },
      /** @param {Options} config */
      info: ({ url }) => url,
    },

    /** @param {import('@dicom-dispatch/target-kit').DeliveryRun<Options>} run */
    async deliver(run) {
      run.stage('connect');
      expectOk(await ask(run.config, 'HEAD', '', run.signal));
      run.stage('transfer');
      await kit.inLanes(run, { lanes: run.config.maxParallel }, async ({ instance, bytes }, { signal }) => {
        const path = `${instance.studyInstanceUid}/${instance.sopInstanceUid}.dcm`;
        expectOk(await ask(run.config, 'PUT', path, signal, kit.streamed(bytes)));
        return { kind: 'delivered' };
      });
    },

    /** @param {import('@dicom-dispatch/target-kit').CheckContext<Options>} context */
    testConnection({ config, signal }) {
      const { hostname: host, port, protocol } = new URL(config.url);
      const secure = protocol === 'https:';
      return kit.runChecks(
        [
          ...kit.networkSteps({
            host,
            port: Number(port) || (secure ? 443 : 80),
            timeoutMs: config.timeout,
            tls: secure ? async () => ({}) : undefined,
          }),
          {
            name: 'login',
            async run() {
              expectOk(await ask(config, 'HEAD', '', signal));
              return 'the target answers';
            },
          },
        ],
        signal,
      );
    },
  };
}
