#!/usr/bin/env node
// A web action: markdown in, HTML out. One file, no packages.
const { createInterface } = require('readline');
const { createWriteStream } = require('fs');
const out = createWriteStream(null, { fd: 3 });

const escape = (s) => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const inline = (s) =>
  escape(s)
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/\*\*(.+?)\*\*/g, '<b>$1</b>')
    .replace(/\*(.+?)\*/g, '<i>$1</i>')
    .replace(/\[(.+?)\]\((https?:[^)\s]+)\)/g, '<a href="$2">$1</a>');

const block = (text) => {
  const [, hashes, title] = /^(#{1,6}) +(.*)$/.exec(text) || [];
  if (hashes) return `<h${hashes.length}>${inline(title)}</h${hashes.length}>`;
  const lines = text.split('\n');
  if (lines.every((line) => line.startsWith('- '))) {
    return `<ul>${lines.map((line) => `<li>${inline(line.slice(2))}</li>`).join('')}</ul>`;
  }
  return `<p>${inline(text)}</p>`;
};

let count = 0;
function main({ __ow_body: body = '', __ow_headers: headers = {} }) {
  if (!/^text\/(markdown|plain)/.test(headers['content-type'])) {
    return { statusCode: 415, body: 'text/markdown, please' };
  }
  const html = body.replace(/\r\n?/g, '\n').trim().split(/\n{2,}/).map(block).join('\n');
  console.log(`page ${++count}: ${html.length} characters`);
  return { statusCode: 200, headers: { 'Content-Type': 'text/html; charset=utf-8' }, body: html };
}

if (process.env.__OW_WAIT_FOR_ACK) out.write('{"ok":true}\n');
createInterface({ input: process.stdin }).on('line', (line) => {
  out.write(JSON.stringify(main(JSON.parse(line).value || {})) + '\n');
});
