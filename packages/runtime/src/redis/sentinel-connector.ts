import { SentinelConnector, type SentinelConnectionOptions } from 'ioredis';

/**
 * The connector of ioredis, with one difference: a failover that Sentinel announces ends only the connection that was established
 * before it. Otherwise an announcement during the search for the new master would end the connection forever.
 */
export class ReconnectingSentinelConnector extends SentinelConnector {
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions);
  }

  override connect(...parameters: Parameters<SentinelConnector['connect']>): ReturnType<SentinelConnector['connect']> {
    // Ends the subscriptions of the former connection, too.
    this.disconnect();
    return super.connect(...parameters);
  }
}
