import type { AuditSyslogConfig } from '@dicom-dispatch/core';
import { eachDelivery } from '@dicom-dispatch/operations';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { DeliveryRecord, DeliveryState } from '@dicom-dispatch/state/records';
import type { ConsoleContext } from '../../console-context.ts';
import { auditMessageXml, type AuditMessage } from '../atna/audit-message.ts';
import { messageOfDelivery } from '../atna/of-delivery.ts';
import { messageOfEntry, messageOfQuery, messageOfRefusal } from '../atna/of-entry.ts';
import { decodeEntry } from '../audit-log.ts';
import { decodeRefused } from '../refused-events.ts';
import type { Cursors } from './cursors.ts';
import { SyslogConnection } from './syslog-connection.ts';

const name = 'syslog';
const batch = 200;
const deliveriesEveryMs = 4_000;
/** Clocks of machines differ: deliveries that ended within this time before the last check are checked once more. */
const overlapMs = 60_000;
const rememberedMs = 10 * 60_000;
const ended: readonly DeliveryState[] = ['delivered', 'partial', 'failed', 'source-gone'];

/**
 * Sends audit messages to an audit record repository. Syslog has no acknowledgements: a sent message counts as delivered if the
 * connection still exists at the next pass; otherwise it is sent again.
 */
export class SyslogDestination {
  readonly #context: ConsoleContext;
  readonly #cursors: Cursors;
  #connection: SyslogConnection | undefined;
  #sent = new Map<string, string | number>();
  #sentDeliveries = new Map<string, number>();
  #lookAt = 0;

  constructor(context: ConsoleContext, cursors: Cursors) {
    this.#context = context;
    this.#cursors = cursors;
  }

  /** @throws the error that prevents the sending of messages */
  async forward(config: AuditSyslogConfig): Promise<void> {
    await this.#settle();
    this.#connection ??= await SyslogConnection.open(config);
    const { redis } = this.#context;
    const keys = redisKeys(this.#context.config().redis.prefix);
    const streams: readonly (readonly [string, (id: string, flat: string[]) => AuditMessage | undefined])[] = [
      [keys.audit, (id, flat) => messageOfEntry(decodeEntry(id, flat))],
      [keys.refused, (id, flat) => messageOfRefusal(decodeRefused(id, flat))],
      [
        keys.auditQueries,
        (id, flat) =>
          config.queries
            ? messageOfQuery({ ...this.#context.queries.decode(id, flat), sources: this.#sources() })
            : undefined,
      ],
    ];
    for (const [stream, toMessage] of streams) {
      const from = this.#sent.get(stream) ?? (await this.#cursors.get(name, stream));
      const entries = await redis.xrange(stream, `(${from}`, '+', 'COUNT', batch);
      for (const [id, flat] of entries) {
        await this.#send(toMessage(id, flat), config);
        this.#sent.set(stream, id);
      }
    }
    if (config.deliveries && Date.now() >= this.#lookAt) {
      await this.#sendDeliveries(config);
      this.#lookAt = Date.now() + deliveriesEveryMs;
    }
  }

  /** Call this after a change of the configuration, and at the end. */
  async close(): Promise<void> {
    await this.#settle().catch(() => {});
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #settle(): Promise<void> {
    const { redis, config } = this.#context;
    if (this.#connection?.isAlive) {
      await this.#cursors.set(name, this.#sent);
      const reported = redisKeys(config().redis.prefix).auditDeliveries;
      const members = [...this.#sentDeliveries].flatMap(([member, at]) => [at, member]);
      if (members.length > 0) await redis.zadd(reported, ...members);
      await redis.zremrangebyscore(reported, '-inf', Date.now() - rememberedMs);
    } else {
      this.#connection?.close();
      this.#connection = undefined;
      this.#lookAt = 0;
    }
    this.#sent = new Map();
    this.#sentDeliveries = new Map();
  }

  async #sendDeliveries(config: AuditSyslogConfig): Promise<void> {
    const { operations, redis } = this.#context;
    const reported = redisKeys(this.#context.config().redis.prefix).auditDeliveries;
    // Nothing that ended before messages were configured is sent.
    const begin = await this.#cursors.getTime(name, 'deliveries begin');
    const looked = new Map<string, number>();
    for (const state of ended) {
      const now = Date.now();
      const since = (await this.#cursors.getTime(name, `deliveries ${state}`)) - overlapMs;
      const records: DeliveryRecord[] = [];
      for await (const record of eachDelivery(operations, { state, since })) records.push(record);
      for (const record of records.reverse()) {
        const at = record.endedAt ?? record.updatedAt;
        if (at < begin) continue;
        const member = `${record.deliveryId} ${at}`;
        if (this.#sentDeliveries.has(member) || (await redis.zscore(reported, member)) !== null) continue;
        await this.#send(await this.#deliveryMessage(record, config), config);
        this.#sentDeliveries.set(member, Date.now());
      }
      looked.set(`deliveries ${state}`, now);
    }
    for (const [what, at] of looked) this.#sent.set(what, at);
  }

  async #deliveryMessage(record: DeliveryRecord, config: AuditSyslogConfig): Promise<AuditMessage> {
    const { lookup } = this.#context;
    const labels = config.patientData
      ? await lookup.readLabels(record.source, [record.orthancStudyId]).catch(() => undefined)
      : undefined;
    const target = this.#context.config().targets[record.target];
    return messageOfDelivery(record, target, labels?.get(record.orthancStudyId));
  }

  async #send(message: AuditMessage | undefined, { sourceId, siteId }: AuditSyslogConfig): Promise<void> {
    if (!message) return;
    await this.#connection?.send(auditMessageXml(message, { sourceId, siteId }), message.at);
  }

  #sources(): string {
    return Object.keys(this.#context.config().sources).join(',');
  }
}
