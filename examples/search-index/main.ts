console.log('search index');
