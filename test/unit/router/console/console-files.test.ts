/** The files of the page: nothing inline, nothing of elsewhere, and everything that they name exists. */
import assert from 'node:assert/strict';
import { readConsoleFiles } from '../../../../services/router/console/console-files.ts';
import { builtInProfiles } from '../../../../shared/protocol/read-parameters.ts';

const files = readConsoleFiles();
const textOf = (name: string): string => files.get(name)?.text ?? assert.fail(name);
const scripts = [...files.keys()].filter((name) => name.endsWith('.js'));

describe('the files of the console', () => {
  it('are of known types, and small', () => {
    assert.ok(scripts.length > 5);
    assert.ok(['index.html', 'console.css', 'console.js', 'icon.svg'].every((name) => files.has(name)));
    const bytes = [...files.values()].reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
    assert.ok(bytes < 100_000, `${bytes} bytes`);
    for (const [name, { text }] of files) assert.ok(text.split('\n').length <= 451, name);
  });

  it('name only files that exist', () => {
    const named = [...textOf('index.html').matchAll(/(?:src|href)="([^"]+)"/g)].map(([, target]) => target!);
    assert.ok(named.length > 3);
    for (const target of named) {
      if (target === '/openapi.json') continue;
      assert.ok(files.has(/^\/console\/([^/]+)$/.exec(target)?.[1] ?? ''), target);
    }
    for (const script of scripts) {
      for (const [, target] of textOf(script).matchAll(/^import .* from '\.\/([^']+)';$/gm))
        assert.ok(files.has(target!), `${script}: ${target}`);
    }
  });

  it('have no script, style or handler in the markup, and no other origin', () => {
    const page = textOf('index.html');
    assert.doesNotMatch(page, /<script(?![^>]* src=)|<style|\son\w+=|\sstyle=|javascript:/i);
    for (const [name, { text }] of files) {
      if (name === 'icon.svg') continue;
      assert.doesNotMatch(text.replace("'http://www.w3.org/2000/svg'", ''), /https?:\/\//, name);
    }
  });

  it('set texts only: no script makes markup or code of what it is given', () => {
    for (const script of scripts) {
      assert.doesNotMatch(
        textOf(script),
        /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\('(?:on|style)|localStorage|cookie/,
        script,
      );
    }
  });

  it('offer the profiles that there are, without the one that needs an item', () => {
    const [, listed = ''] = /const profiles = \[([\s\S]*?)\];/.exec(textOf('compare.js')) ?? [];
    assert.deepEqual(
      [...listed.matchAll(/'(\w+)'/g)].map(([, name]) => name),
      builtInProfiles.filter((name) => name !== 'related'),
    );
  });
});
