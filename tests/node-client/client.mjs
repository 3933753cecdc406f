// Runs the document's examples against two servers: node client.mjs HTTP_OF_REMOTE_ORCH_1 HTTP_OF_ORCH_2
//
// Invariant: message literals are the document's, unchanged; what they must lead to is asserted by what the servers answer,
// and by what their REST API says afterwards.

import assert from 'node:assert/strict';
import * as WebSocket from 'ws';
import { OrchestratorConnection, next } from './connection.mjs';

const [remote, other] = process.argv.slice(2);
const socketUrl = (http) => `${http.replace('http', 'ws')}/federation`;

async function rest(server, method, path, body) {
  const answer = await fetch(`${server}/api/v1${path}`, { method, body: body && JSON.stringify(body) });
  const value = await answer.json();
  assert.equal(answer.status, 200, `${method} ${path}: ${JSON.stringify(value)}`);
  return value;
}

// Asks until the answer passes; there is no notice to wait for on the REST side.
async function until(ask, passes) {
  for (let tries = 0; tries < 600; tries += 1) {
    const value = await ask();
    if (passes(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('it did not come true');
}

async function delegationAndQueue() {
  const socket = new WebSocket.WebSocket(socketUrl(remote));
  const connection = new OrchestratorConnection({
    id: 'remote-orch-1',
    socket,
    capabilities: ['code-generation', 'testing'],
  });
  const answered = next(connection, 'callback', (payload) => 'accepted' in payload);

  // Check if remote has required capabilities
  assert(connection.checkCapability(['code-generation', 'testing']));
  // Delegate task
  await connection.sendMessage({
    type: 'delegation',
    payload: {
      fromOrchestratorId: 'local',
      toOrchestratorId: 'remote-orch-1',
      task: {
        id: 'task-456',
        type: 'code',
        description: 'Implement login feature',
        priority: 'high',
        status: 'pending',
        createdAt: new Date(),
        updatedAt: new Date(),
      },
      priority: 'high',
    },
    from: 'local',
    to: 'remote-orch-1',
    timestamp: new Date(),
  });
  // The socket is not open yet: these wait behind it.
  for (const number of [1, 2, 3]) {
    await connection.sendMessage({
      type: 'broadcast',
      payload: { topic: `queued-${number}`, data: { number } },
      from: 'local',
      to: 'remote-orch-1',
      timestamp: new Date(),
    });
  }
  assert.equal(connection.messageQueue.length, 4);

  const response = await answered;
  assert.equal(response.taskId, 'task-456');
  assert.equal(response.accepted, true, response.reason);
  assert.equal(response.assignedResources.sessions, 1);
  assert(response.assignedResources.tokens > 0);
  const topics = async () => {
    const { events } = await rest(remote, 'GET', '/events?format=json');
    return events.filter((event) => event.type === 'orchestrator.broadcast').map((event) => event.detail.topic);
  };
  const told = await until(topics, (all) => all.length === 3);
  assert.deepEqual(told, ['queued-1', 'queued-2', 'queued-3']);
  console.log('delegation accepted; queue flushed in order');

  const half = next(connection, 'callback', (payload) => payload.status === 'progress');
  const done = next(connection, 'callback', (payload) => payload.status === 'completed');
  const path = '/orchestrator/tasks/task-456/progress?origin=local';
  await rest(remote, 'POST', path, { status: 'progress', progress: 50 });
  assert.equal((await half).progress, 50);
  await rest(remote, 'POST', path, { status: 'completed', result: { success: true } });
  assert.deepEqual((await done).result, { success: true });
  console.log('progress and result called back');
  return connection;
}

async function serversQueue(connection) {
  assert.equal(await connection.disconnect(), 1000);
  const local = ({ peers }) => peers.find((peer) => peer.id === 'local');
  const peers = () => rest(remote, 'GET', '/orchestrator/peers');
  await until(peers, (all) => local(all).status === 'disconnected');
  for (const number of [1, 2, 3]) {
    const sent = await rest(remote, 'POST', '/orchestrator/broadcasts', { topic: `missed-${number}`, data: number });
    assert.deepEqual(sent, { sent: [], queued: ['local'], refused: [] });
  }
  assert.equal(local(await peers()).queued, 3);
  const socket = new WebSocket.WebSocket(`${socketUrl(remote)}?id=local`);
  const again = new OrchestratorConnection({ id: 'remote-orch-1', socket, capabilities: [] });
  const topics = [];
  again.on('broadcast', (payload) => topics.push(payload.topic));
  await next(again, 'broadcast', (payload) => payload.topic === 'missed-3');
  assert.deepEqual(topics, ['missed-1', 'missed-2', 'missed-3']);
  assert.equal(await again.disconnect(), 1000);
  console.log('what waited at the server came in order');
}

async function handlingDelegations() {
  const socket = new WebSocket.WebSocket(`${socketUrl(other)}?id=orch-1&capabilities=code-generation`);
  const connection = new OrchestratorConnection({ id: 'orch-2', socket, capabilities: ['code-generation'] });
  const heartbeat = next(connection, 'heartbeat');
  const status = next(connection, 'status');
  await new Promise((resolve) => socket.on('open', resolve));
  assert.equal((await heartbeat).status, 'healthy');
  assert(['connected', 'active'].includes((await status).status));

  connection.on('delegation', async (request) => {
    // Send progress updates
    await connection.sendMessage({
      type: 'callback',
      payload: {
        taskId: request.task.id,
        status: 'progress',
        progress: 50,
      },
      from: connection.id,
      to: request.fromOrchestratorId,
      timestamp: new Date(),
    });
  });
  const task = { id: 'task-123', type: 'code', description: 'Implement feature', priority: 'high' };
  const asked = next(connection, 'delegation');
  await rest(other, 'POST', '/orchestrator/tasks', { ...task, capabilities: ['code-generation'] });
  const request = await asked;
  assert.equal(request.fromOrchestratorId, 'orch-2');
  assert.equal(request.toOrchestratorId, 'orch-1');
  assert.equal(request.task.description, 'Implement feature');
  const known = () => rest(other, 'GET', '/orchestrator/tasks/task-123');
  const running = await until(known, ({ status }) => status === 'running');
  assert.equal(running.progress, 50);
  assert.equal(running.orchestrator, 'orch-1');

  await connection.sendMessage({
    type: 'callback',
    payload: {
      taskId: 'task-123',
      status: 'completed',
      result: { success: true },
    },
    from: 'orch-1',
    to: 'orch-2',
    timestamp: new Date(),
    correlationId: 'task-123',
  });
  const completed = await until(known, ({ status }) => status === 'completed');
  assert.deepEqual(completed.result, { success: true });
  console.log('a delegation of the server was handled');

  // Nobody here or there can do this.
  const refused = await rest(other, 'POST', '/orchestrator/tasks', {
    ...task,
    id: 'task-789',
    to: 'orch-1',
    capabilities: ['ml-training'],
  });
  assert.equal(refused.status, 'refused');
  assert.match(refused.reason, /^capability_mismatch: /);
  const complained = next(connection, 'status', (payload) => payload.error);
  socket.send('{"type":"delegation"');
  assert.equal((await complained).error.code, 'malformed');
  assert.equal(await connection.disconnect(), 1000);
  console.log('what cannot be was refused with a reason');
}

await serversQueue(await delegationAndQueue());
await handlingDelegations();
console.log('ALL PASSED');
process.exit(0);
