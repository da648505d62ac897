import { randomBytes } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import { probeRemains, runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import { urlSteps } from '../checks/index.ts';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { lookAtBlob } from './blob.ts';
import { openContainer, type Container } from './container.ts';
import { translateAzureError } from './errors.ts';
import { enterContainer } from './known-names.ts';
import { putBlob } from './put-blob.ts';
import type { AzureTarget } from './schema.ts';

const probe = Buffer.from('dicom-dispatch probe\n');

export async function* testAzure({ config, signal }: CheckContext<AzureTarget>): AsyncGenerator<Check> {
  const address = new URL(config.endpoint ?? `https://${config.account}.blob.core.windows.net`);
  const opened: Container[] = [];
  try {
    yield* runChecks([...urlSteps(address, config.connectTimeout, config.tls), ...stepsOf(config, opened)], signal);
  } finally {
    for (const container of opened) await container[Symbol.asyncDispose]();
  }
}

function stepsOf(config: AzureTarget, opened: Container[]): CheckStep[] {
  const name = `${config.prefix}dicom-dispatch-probe-${randomBytes(6).toString('hex')}`;
  const theContainer = async (): Promise<Container> => {
    const container = opened[0] ?? (await openContainer(config, 'connect'));
    if (opened.length === 0) opened.push(container);
    return container;
  };
  let noContainer: DispatchError | undefined;
  let isWritten = false;
  return [
    {
      name: 'login',
      async run(signal) {
        try {
          const mayList = await enterContainer(await theContainer(), signal);
          return mayList
            ? 'the credentials are accepted'
            : 'the credentials are accepted; they do not allow listing, which is not required';
        } catch (thrown) {
          if (!(thrown instanceof DispatchError) || thrown.code !== 'target-misconfigured') throw thrown;
          noContainer = thrown;
          return 'the credentials are accepted';
        }
      },
    },
    {
      name: 'container',
      async run() {
        if (noContainer) throw noContainer;
        return `the container ${config.container} exists`;
      },
    },
    {
      name: 'write',
      async run(signal) {
        const conflict = (): DispatchError =>
          new DispatchError('target-conflict', 'the name of the probe is already used');
        const blob = { name, contentType: 'text/plain', conflict };
        await putBlob(await theContainer(), blob, probe, false, signal);
        isWritten = true;
        return 'a probe was stored';
      },
    },
    {
      name: 'read',
      async run(signal) {
        const found = await lookAtBlob(await theContainer(), name, signal);
        if (found?.sizeBytes === probe.length) return 'the probe has its size';
        throw new DispatchError('target-error', 'the stored probe is missing, or has a different size');
      },
    },
    {
      name: 'remove',
      // The written probe is always removed.
      always: true,
      async run(signal) {
        if (!isWritten) return { skip: 'no probe was stored' };
        const container = await theContainer();
        try {
          await container.raw(signal, (sending) => container.client.getBlobClient(name).delete(sending));
          return 'the probe was removed';
        } catch (thrown) {
          return probeRemains(translateAzureError(thrown, container.host, 'Removing the probe', 'connect'), name);
        }
      },
    },
  ];
}
