// A client of rooms.v1, and a page that shows two of them.

const RANGE = (from, to) => code => code >= from && code < to;
const NEVER = RANGE(4000, 4100);
const AT_ONCE = RANGE(4200, 4300);

/** One connection that comes back by itself, and never loses its place. */
class Client {
  constructor(name, hears) {
    this.name = name;
    this.hears = hears;
    this.room = null;
    this.kind = 'ttt';
    this.since = null;
    this.next = 1;
    this.waiting = new Map();
    this.tries = 0;
    this.token = stored(`rooms-guest-${name}`);
    addEventListener('online', () => { this.tries = 0; this.connect(); });
  }

  connect() {
    if (this.socket && this.socket.readyState <= WebSocket.OPEN) return;
    clearTimeout(this.timer);
    const url = new URL('/ws', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const socket = this.socket = new WebSocket(url, 'rooms.v1');
    socket.onopen = () => this.greet(socket);
    socket.onmessage = message => this.read(JSON.parse(message.data));
    socket.onclose = closed => this.closed(socket, closed);
  }

  async greet(socket) {
    const hello = await this.call({ t: 'hello', client: 'page', ...(this.token && { resume: this.token }) });
    if (socket !== this.socket || !hello.ok) return;
    this.me = hello.ok;
    if (hello.ok.guest_token) store(`rooms-guest-${this.name}`, this.token = hello.ok.guest_token);
    // Two panes should be on two servers: a few more tries, if there is another one.
    if (this.avoid && this.avoid() === hello.ok.server && this.moves > 0) {
      this.moves -= 1;
      this.hears.log(`also on ${hello.ok.server}: trying for another server`);
      return socket.close(1000);
    }
    this.tries = 0;
    this.hears.connected(hello.ok);
    await this.enter();
  }

  async enter() {
    const join = { t: 'join', room: this.room, kind: this.kind, presence: true, info: { pane: this.name } };
    const reply = await this.call(this.since ? { ...join, since: this.since } : join);
    if (reply.err) return this.hears.log(`join: ${reply.err.msg}`);
    this.hears.joined(reply.ok, Boolean(this.since));
    this.since = { epoch: reply.ok.epoch, offset: reply.ok.offset };
    // Writes without an answer are sent again; their keys keep them from counting twice.
    for (const [id, { frame }] of this.waiting) if (frame.key) this.send({ ...frame, id });
  }

  move(room) {
    if (this.room) this.call({ t: 'leave', room: this.room });
    Object.assign(this, { room, since: null });
    if (this.socket?.readyState === WebSocket.OPEN) this.enter();
  }

  send(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  call(frame) {
    return new Promise(done => {
      const id = this.next++;
      this.waiting.set(id, { frame, done });
      this.send({ ...frame, id });
    });
  }

  act(action) {
    return this.call({ t: 'act', room: this.room, action, key: crypto.randomUUID?.() ?? `k${Date.now()}-${Math.random()}` });
  }

  read(frame) {
    if (frame.id != null && !frame.t) {
      const call = this.waiting.get(frame.id);
      const again = frame.err?.code === 'unknown_outcome' && call?.frame.key;
      if (again) return setTimeout(() => this.send({ ...call.frame, id: frame.id }), 500);
      this.waiting.delete(frame.id);
      return call?.done(frame);
    }
    if (frame.t === 'ping') return this.send({ t: 'pong' });
    if (frame.t === 'drain') this.retry = frame.retry_ms;
    if (frame.room && frame.room !== this.room) return;
    if (frame.offset != null) this.since = { epoch: frame.epoch, offset: frame.offset };
    this.hears.push(frame);
  }

  closed(socket, { code, reason }) {
    if (socket !== this.socket) return;
    for (const [id, { frame, done }] of this.waiting) {
      if (frame.key) continue;
      this.waiting.delete(id);
      done({ err: { code: 'closed', msg: 'the connection ended' } });
    }
    const backOff = Math.min(250 * 2 ** this.tries++, 10_000) * (0.5 + Math.random() / 2);
    const wait = AT_ONCE(code) || code === 1000 ? this.retry ?? 0 : backOff;
    this.retry = undefined;
    const never = NEVER(code) && code !== 4002;
    this.hears.closed(`closed: ${code}${reason && ` ${reason}`}`, never ? null : wait);
    if (!never) this.timer = setTimeout(() => this.connect(), wait);
  }

  drop() {
    this.socket?.close(1000);
  }
}

function stored(name) {
  try { return sessionStorage.getItem(name); } catch { return null; }
}

function store(name, value) {
  try { sessionStorage.setItem(name, value); } catch { /* then a guest is a new one next time */ }
}

/** What one side of the page shows. */
class Pane {
  constructor(name, moved, seen) {
    const copy = document.getElementById('pane').content.cloneNode(true);
    this.parts = Object.fromEntries([...copy.querySelectorAll('[data-of]')].map(part => [part.dataset.of, part]));
    this.seen = seen;
    const section = copy.querySelector('section');
    section.id = `pane-${name}`;
    this.parts.title.id = `title-${name}`;
    section.setAttribute('aria-labelledby', this.parts.title.id);
    this.parts.title.textContent = name;
    this.members = new Map();
    this.game = null;
    this.cells = Array.from({ length: 9 }, (_, cell) => this.makeCell(cell));
    for (let row = 0; row < 3; row++) {
      const line = document.createElement('div');
      line.setAttribute('role', 'row');
      for (const cell of this.cells.slice(3 * row, 3 * row + 3)) {
        const box = document.createElement('div');
        box.setAttribute('role', 'gridcell');
        box.append(cell);
        line.append(box);
      }
      this.parts.board.append(line);
    }
    document.getElementById('panes').append(copy);
    this.client = new Client(name, this);
    this.act = action => { moved(action); this.try(action); };
    this.parts.sit.onclick = () => this.act({ do: 'sit' });
    this.parts.again.onclick = () => this.act({ do: 'again' });
    this.parts.stand.onclick = () => this.act({ do: 'stand' });
    this.parts.drop.onclick = () => { this.log('dropping the socket'); this.client.drop(); };
    this.draw();
  }

  makeCell(cell) {
    const button = document.createElement('button');
    button.type = 'button';
    button.tabIndex = cell === 0 ? 0 : -1;
    button.onclick = () => this.act({ do: 'move', cell });
    button.onfocus = () => this.cells.forEach((other, at) => { other.tabIndex = at === cell ? 0 : -1; });
    button.onkeydown = event => {
      const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -3, ArrowDown: 3 }[event.key];
      const row = Math.floor(cell / 3) === Math.floor((cell + step) / 3) || Math.abs(step) === 3;
      if (step === undefined) return;
      event.preventDefault();
      if (row) this.cells[cell + step]?.focus();
    };
    return button;
  }

  async try(action) {
    const reply = await this.client.act(action);
    if (reply.err) this.say(reply.err.msg);
  }

  log(text) {
    const line = document.createElement('li');
    line.textContent = `${new Date().toISOString().slice(11, 23)} ${text}`;
    this.parts.log.prepend(line);
    while (this.parts.log.childElementCount > 100) this.parts.log.lastChild.remove();
  }

  say(text) {
    this.parts.status.textContent = text;
    this.log(text);
  }

  connected({ server, user, conn }) {
    this.parts.server.textContent = server;
    this.parts.server.classList.add('on');
    this.parts.user.textContent = user;
    this.log(`connected to ${server} as ${user}, connection ${conn}`);
  }

  closed(text, wait) {
    this.parts.server.textContent = 'not connected';
    this.parts.server.classList.remove('on');
    this.say(wait === null ? `${text}; not connecting again` : `${text}; again in ${Math.round(wait)} ms`);
  }

  joined(room, back) {
    if (room.members) this.setMembers(room.members);
    this.place(room);
    if (room.recovered) {
      this.log(`back at offset ${room.offset}: ${room.events.length} missed, all there`);
      room.events.forEach(event => this.push(event));
    } else {
      this.log(`joined at offset ${room.offset}${back ? ', anew' : ''}`);
      this.game = room.doc;
    }
    this.draw();
  }

  place({ epoch, offset, version }) {
    this.parts.epoch.textContent = epoch;
    this.parts.offset.textContent = offset;
    if (version !== undefined) this.parts.version.textContent = version;
  }

  setMembers(members) {
    this.members = new Map(members.map(member => [member.conn, member]));
    this.drawMembers();
  }

  push(frame) {
    if (frame.offset != null) this.place(frame);
    switch (frame.t) {
      case 'state':
        this.game = frame.doc;
        this.log(`offset ${frame.offset}: ${frame.by} has moved`);
        this.seen(this, frame.version);
        return this.draw();
      case 'reset':
        this.game = frame.doc;
        if (frame.members) this.setMembers(frame.members);
        this.say(`the room starts anew (${frame.reason})`);
        return this.draw();
      case 'member':
        if (frame.ev === 'leave') this.members.delete(frame.conn);
        else this.members.set(frame.conn, frame);
        this.log(`${frame.ev}: ${frame.user} on ${frame.server}`);
        return this.drawMembers();
      case 'msg':
        return this.log(`offset ${frame.offset}: ${frame.by} says ${JSON.stringify(frame.data)}`);
      case 'degraded':
        return this.say('the store cannot be reached: moves are refused for now');
      case 'restored':
        return this.say('the store is back');
      case 'drain':
        return this.say('this server is stopping: moving on');
      default:
        return this.log(frame.t);
    }
  }

  drawMembers() {
    this.parts.members.replaceChildren(...[...this.members.values()].map(({ user, server, conn }) => {
      const line = document.createElement('li');
      line.textContent = `${user} on ${server}${conn === this.client.me?.conn ? ' (this side)' : ''}`;
      return line;
    }));
  }

  draw() {
    const game = this.game ?? { board: Array(9).fill(null), seats: {}, turn: 'x', winner: null, line: null };
    const me = this.client.me?.user;
    const mine = ['x', 'o'].find(mark => me && game.seats[mark] === me);
    const playing = mine && game.seats.x && game.seats.o && !game.winner;
    this.cells.forEach((button, cell) => {
      const mark = game.board[cell];
      button.textContent = mark ?? '';
      button.classList.toggle('won', Boolean(game.line?.includes(cell)));
      button.setAttribute('aria-label', `row ${Math.floor(cell / 3) + 1}, column ${cell % 3 + 1}: ${mark ?? 'free'}`);
      button.setAttribute('aria-disabled', String(!(playing && game.turn === mine && !mark)));
    });
    const free = !game.seats.x || !game.seats.o;
    this.parts.sit.disabled = Boolean(mine) || !free;
    this.parts.stand.disabled = !mine;
    this.parts.again.disabled = !mine || !game.winner;
    if (!this.client.me) return;
    let text = free ? 'a seat is free' : `it is ${game.turn}'s move`;
    if (mine && free) text = `you are ${mine}; waiting for the other player`;
    else if (playing) text = `you are ${mine}; ${game.turn === mine ? 'your move' : 'the other player moves'}`;
    if (game.winner) text = game.winner === 'draw' ? 'a draw' : `${game.winner} has won`;
    this.parts.status.textContent = text;
  }
}

const room = document.getElementById('room');
const latency = document.getElementById('latency');
const times = [];
let asked = null;

function moved() {
  asked = performance.now();
}

/** Both sides see every move; the second one to see it tells how long the way was. */
let first = null;
function seen(pane, version) {
  if (asked === null) return;
  if (!first || first.version !== version) {
    first = { version, pane };
    return;
  }
  times.push(performance.now() - asked);
  asked = null;
  const sorted = times.slice(-100).sort((a, b) => a - b);
  const ms = time => `${time.toFixed(1)} ms`;
  latency.textContent = `${ms(times.at(-1))}, median of ${sorted.length}: ${ms(sorted[sorted.length >> 1])}`;
}

const panes = ['left', 'right'].map(name => new Pane(name, moved, seen));
const [left, right] = panes;
Object.assign(right.client, { avoid: () => left.client.me?.server, moves: 4 });

const name = new URLSearchParams(location.search).get('room') ?? `board-${Math.random().toString(36).slice(2, 8)}`;
room.value = name;
for (const pane of panes) pane.client.room = name;
room.onchange = () => {
  if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(room.value)) return left.say('a room has 1 to 64 of the characters A-Z a-z 0-9 _ . : -');
  history.replaceState(null, '', `?room=${encodeURIComponent(room.value)}`);
  for (const pane of panes) pane.client.move(room.value);
};
history.replaceState(null, '', `?room=${encodeURIComponent(name)}`);

// The second side waits for the first, to see where that one went.
left.client.connect();
setTimeout(() => right.client.connect(), 200);
