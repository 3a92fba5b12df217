// Who publishes a stream, and since when: the API tells that with the client, so each is asked for once.

const AT_ONCE = 6;

export class Publishers {
  constructor() {
    this.known = new Map();
  }

  // Asks for the publishers of these streams that are not known yet; forgets those of others.
  async learn(api, streams) {
    const wanted = streams.filter((stream) => stream.publish.active && stream.publish.cid);
    const ids = new Set(wanted.map((stream) => stream.publish.cid));
    for (const id of this.known.keys()) {
      if (!ids.has(id)) this.known.delete(id);
    }
    const queue = [...ids].filter((id) => !this.known.has(id));
    const ask = async () => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        const { client } = await api.get(`/api/v1/clients/${encodeURIComponent(id)}`);
        if (client) this.known.set(id, { client, since: Date.now() - client.alive * 1000 });
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, ask));
  }

  of(stream) {
    return this.known.get(stream.publish.cid)?.client ?? null;
  }

  // Seconds that the stream is live; null while that is not known.
  age(stream) {
    const known = this.known.get(stream.publish.cid);
    return known ? (Date.now() - known.since) / 1000 : null;
  }
}
