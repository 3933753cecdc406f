// The document's OrchestratorConnection as somebody would write it who has only the document and `ws`.
//
// Invariant: messages that are sent while the socket is not open wait, first in, first out, and leave when it opens.

import { EventEmitter } from 'node:events';
import WebSocket from 'ws';

export class OrchestratorConnection extends EventEmitter {
  constructor({ id, socket, capabilities, maxQueueSize = 1000 }) {
    super();
    Object.assign(this, { id, socket, capabilities, maxQueueSize, messageQueue: [] });
    socket.on('open', () => this.flush());
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString());
      this.emit('message', message);
      this.emit(message.type, message.payload);
    });
    socket.on('close', (code, reason) => this.emit('close', code, reason.toString()));
  }

  checkCapability(required) {
    return required.every((capability) => this.capabilities.includes(capability));
  }

  async sendMessage(message) {
    if (this.socket.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify(message));
    } else if (this.messageQueue.length < this.maxQueueSize) {
      this.messageQueue.push(message);
    } else {
      throw new Error('message queue is full');
    }
  }

  flush() {
    for (const message of this.messageQueue.splice(0)) {
      this.socket.send(JSON.stringify(message));
    }
  }

  async disconnect() {
    this.flush();
    const closed = new Promise((resolve) => this.once('close', (code) => resolve(code)));
    this.socket.close(1000, 'done');
    return closed;
  }
}

// The first payload of a type that passes, from now on or within the half minute that follows.
export function next(connection, type, passes = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${type} came`)), 30_000);
    connection.on(type, (payload) => {
      if (passes(payload)) {
        clearTimeout(timer);
        resolve(payload);
      }
    });
  });
}
