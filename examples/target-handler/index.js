// @ts-check
/**
 * An example of a target handler that lives outside dicom-dispatch: it sends every instance by HTTP PUT to
 * `<url>/<Study Instance UID>/<SOP Instance UID>.dcm`. It needs nothing but the kit it is given.
 *
 * @param {import('@dicom-dispatch/targets').TargetKit} kit
 */
export function createHandler(kit) {
  const { z, DispatchError } = kit;

  const schema = z.strictObject({
    type: z.string(),
    ...kit.targetOptions,
    url: z.url({ protocol: /^https?$/ }).describe('where instances are put'),
    token: kit.secret.optional().describe('bearer token; default none'),
    lanes: z.int().min(1).max(16).default(4).describe('requests at the same time; default 4'),
    timeout: kit.durationMs.default(60_000).describe('longest time of a request; default 60s'),
  });
  /** @typedef {import('zod').output<typeof schema>} Options */

  /** @param {Options} config @param {string} path @param {AbortSignal} signal @param {RequestInit & { duplex?: 'half' }} [init] */
  async function ask(config, path, signal, init) {
    try {
      return await fetch(`${config.url.replace(/\/$/, '')}/${path}`, {
        ...init,
        redirect: 'manual',
        headers: { ...init?.headers, ...(config.token && { authorization: `Bearer ${config.token.reveal()}` }) },
        signal: AbortSignal.any([signal, AbortSignal.timeout(config.timeout)]),
      });
    } catch (thrown) {
      if (signal.aborted) throw kit.cancelledError(signal);
      throw translate(thrown, new URL(config.url).host);
    }
  }

  /** Foreign errors become codes of dicom-dispatch here, and nowhere else. @param {unknown} thrown @param {string} host */
  function translate(thrown, host) {
    if (thrown instanceof DispatchError) return thrown;
    if (thrown instanceof Error && thrown.name === 'TimeoutError') {
      return new DispatchError('target-timeout', `${host} did not answer in time`, { cause: thrown });
    }
    const inner = /** @type {{ code?: unknown }} */ (thrown instanceof Error ? (thrown.cause ?? {}) : {});
    const lost = inner.code === 'ECONNRESET' || inner.code === 'UND_ERR_SOCKET';
    return lost
      ? new DispatchError('target-connection-lost', `${host} closed the connection`, { cause: thrown })
      : new DispatchError('target-unreachable', `${host} cannot be reached (${inner.code ?? 'unknown'})`, {
          cause: thrown,
        });
  }

  /** @param {Response} answer */
  async function expectOk(answer) {
    await answer.body?.cancel();
    if (answer.ok) return;
    if (answer.status === 401 || answer.status === 403) {
      throw new DispatchError('target-unauthorized', `the target answered ${answer.status}: the token is not accepted`);
    }
    if (answer.status === 507) throw new DispatchError('target-full', 'the target answered 507: it has no space left');
    if (answer.status === 413) throw new DispatchError('instance-too-large', 'the target answered 413: too large');
    throw new DispatchError('target-error', `the target answered ${answer.status}`);
  }

  return {
    contractVersion: kit.contractVersion,
    type: 'http-put',
    schema,

    /** @param {import('@dicom-dispatch/targets').DeliveryRun<Options>} run */
    async deliver(run) {
      run.stage('connect');
      await expectOk(await ask(run.config, '', run.signal, { method: 'HEAD' }));
      run.stage('transfer');
      await kit.inLanes(run, { lanes: run.config.lanes }, async ({ instance, bytes }, { signal }) => {
        const path = `${instance.studyInstanceUid}/${instance.sopInstanceUid}.dcm`;
        const body = ReadableStream.from(bytes.body);
        await expectOk(await ask(run.config, path, signal, { method: 'PUT', body, duplex: 'half' }));
        return { kind: 'delivered' };
      });
    },

    /** @param {import('@dicom-dispatch/targets').CheckContext<Options>} context */
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
              await expectOk(await ask(config, '', signal, { method: 'HEAD' }));
              return 'the target answers';
            },
          },
        ],
        signal,
      );
    },
  };
}
